/** A shell over the overlay: loaded when the first command is typed. */
import { Bash } from "just-bash/browser";
import type { OvlDriver } from "../driver/driver";
import { ShellFs } from "./fs";

export interface Output {
  stdout: string;
  stderr: string;
  code: number;
}

export class Shell {
  private readonly bash: Bash;
  cwd = "/";

  constructor(readonly driver: OvlDriver) {
    this.bash = new Bash({ fs: new ShellFs(driver), cwd: "/", env: { HOME: "/", USER: "you" } });
  }

  /** Runs one line. The directory that it ends in is where the next one starts. */
  async run(line: string): Promise<Output> {
    const { stdout, stderr, exitCode, env } = await this.bash.exec(line, { cwd: this.cwd });
    this.cwd = env["PWD"] ?? this.cwd;
    return { stdout, stderr, code: exitCode };
  }
}
