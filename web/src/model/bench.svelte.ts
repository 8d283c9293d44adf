/** The workbench: one overlay, what is seen of it, and what was done to it. */
import { tick } from "svelte";
import { OvlError, type Change, type OvlDriver, type OvlEvent, type Overlay, type Row, type Rows, type Why, type Work } from "../driver/driver";
import { MOST, Player, type Beat } from "./player.svelte";
import { plain, size } from "./layers";
import { told } from "./words";

export interface LogLine {
  event: OvlEvent;
  sentence: string;
}

/** Long work, as it is told. */
export interface AtWork {
  /** `Opening app.zip`. */
  what: string;
  done: number;
  total: number | undefined;
  /** `40 %`, or how much of nobody knows how much. */
  far: string;
  cancel: () => void;
}

/** What is played while the old state is seen; the rest is pointed out in the new one. */
const BEFORE = new Set(["copied_up", "whiteout", "opaque"]);
const KEPT = 500;
/** Events that come within this time belong to one change. */
const TOGETHER_MS = 40;
/** So often a listener hears how far long work is. */
const SPOKEN_MS = 4000;
/** So many lines of what was said stay. */
const SPOKEN = 30;

export class Bench {
  overlay = $state.raw<Overlay | undefined>();
  view = $state.raw<Rows & { start: number }>({ start: 0, total: 0, rows: [] });
  whys = $state.raw(new Map<string, Why>());
  changes = $state.raw<Change[]>([]);
  log = $state.raw<LogLine[]>([]);
  selected = $state("/");
  /** The row of the selection. */
  cursor = $state(0);
  xray = $state(true);
  /** What is said aloud. Each line is one of its own: the same sentence may come twice, and several at once. */
  spoken = $state.raw<{ at: number; text: string }[]>([]);
  problem = $state.raw<OvlError | undefined>();
  work = $state.raw<AtWork | undefined>();
  /** Why a layer is not kept for the next visit, by its id. */
  unkept = $state.raw(new Map<string, string>());
  connected = $state(false);
  uploaded = $state(0);
  /** Counts what was refreshed, for parts that read for themselves. */
  version = $state(0);
  /** Counts the times that a row is to be brought into sight. */
  revealed = $state(0);
  readonly player = new Player();
  /** Called after each change, to keep the session. */
  settled: (() => void) | undefined;
  /** Whether the selection was moved to a row that is not read yet. */
  private moving = false;
  private wanted = { start: 0, count: 60 };
  private lost = false;
  private pending: OvlEvent[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private settling: Promise<void> | undefined;
  private readonly stop: () => void;

  constructor(readonly driver: OvlDriver) {
    driver.grown = () => void this.look(this.wanted.start, this.wanted.count);
    this.stop = driver.follow(
      (event) => this.heard(event),
      (up) => this.linked(up),
    );
  }

  async refresh(): Promise<void> {
    try {
      [this.overlay, this.changes] = await Promise.all([this.driver.overlay(), this.driver.changes()]);
      await this.look(this.wanted.start, this.wanted.count);
      this.uploaded = this.driver.uploaded;
      this.version++;
    } catch (error) {
      this.failed(error);
    }
  }

  /** Shows these rows, with what each layer says when the x-ray is on. */
  async look(start: number, count: number): Promise<void> {
    this.wanted = { start, count };
    const rows = await this.driver.rows(start, count, this.xray);
    if (this.wanted.start !== start) return;
    const whys = this.xray ? await this.driver.xray(rows.rows.map((row) => row.entry.path)) : [];
    const cursor = await this.kept(rows.rows, start);
    if (this.wanted.start !== start) return;
    if (this.xray) this.whys = new Map(whys.map((why) => [why.path, why]));
    this.view = { ...rows, start };
    if (this.select(this.moving ? this.cursor : cursor)) this.moving = false;
  }

  /** Selects a row; one that is out of sight is selected when it came. */
  pick(index: number): void {
    this.moving = !this.select(index);
  }

  async toggle(path: string, open: boolean): Promise<void> {
    await (open ? this.driver.expand(path) : this.driver.collapse(path));
    await this.look(this.wanted.start, this.wanted.count);
  }

  /** Opens the directories above a path and selects it. */
  async reveal(path: string): Promise<void> {
    for (let at = path.indexOf("/", 1); at > 0; at = path.indexOf("/", at + 1)) await this.driver.expand(path.slice(0, at));
    await this.look(this.wanted.start, this.wanted.count);
    this.cursor = (await this.driver.rowOf(path)) ?? this.cursor;
    this.selected = path;
    this.revealed++;
  }

  /** Does one change; what fails is told, and is no exception. */
  async act(change: (driver: OvlDriver) => Promise<unknown>): Promise<boolean> {
    this.problem = undefined;
    try {
      await change(this.driver);
    } catch (error) {
      this.failed(error);
      return false;
    }
    await this.settle();
    return true;
  }

  /** Does what may take long: it is told how far it is, and can be cancelled. What has no known end is told `inWords`. */
  async long(what: string, change: (driver: OvlDriver, work: Work) => Promise<unknown>, inWords: (done: number) => string = size): Promise<boolean> {
    const ending = new AbortController();
    const cancel = (): void => ending.abort();
    let spoken = performance.now();
    const heard = (done: number, total?: number): void => {
      const far = total ? `${Math.floor((100 * done) / total)} %` : done > 0 ? inWords(done) : "";
      this.work = { what, done, total, far, cancel };
      if (performance.now() < spoken + SPOKEN_MS) return;
      spoken = performance.now();
      this.say(`${what}: ${far}`);
    };
    heard(0);
    const done = await this.act((driver) => change(driver, { signal: ending.signal, heard }).finally(() => (this.work = undefined)));
    if (ending.signal.aborted && !done) this.say(`${what} was cancelled; nothing was changed.`);
    return done;
  }

  /** Waits until what was done is shown. */
  async settle(): Promise<void> {
    clearTimeout(this.timer);
    // What this tab did itself is told by then.
    if (this.driver.can.shared) await new Promise((done) => setTimeout(done, TOGETHER_MS));
    await this.settling;
    this.settling = this.show(this.pending.splice(0));
    await this.settling;
  }

  say(text: string): void {
    const at = (this.spoken.at(-1)?.at ?? -1) + 1;
    this.spoken = [...this.spoken, { at, text: plain(text) }].slice(-SPOKEN);
  }

  /** Says that a layer will be missing the next time. */
  forgets(id: string, name: string, why: string): void {
    this.unkept = new Map(this.unkept).set(id, why);
    this.say(`${name} is not kept for the next visit: ${why}.`);
  }

  failed(error: unknown): void {
    const problem = error instanceof OvlError ? error : new OvlError("internal", String(error));
    if (problem.code === "cancelled") return;
    this.problem = problem;
  }

  close(): void {
    this.stop();
    this.driver.close();
  }

  private linked(up: boolean): void {
    if (up !== this.connected && (this.lost || !up)) this.say(up ? "The server tells of changes again." : "The server no longer tells of changes; the view is read anew every few seconds.");
    this.lost ||= !up && this.connected;
    this.connected = up;
  }

  private heard(event: OvlEvent): void {
    this.pending.push(event);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.settle(), TOGETHER_MS);
  }

  private async show(events: OvlEvent[]): Promise<void> {
    const beats = events.length > MOST ? [] : await Promise.all(ordered(events).map((event, at, all) => this.beat(event, all[at + 1])));
    const say = (sentence: string): void => this.say(sentence);
    await this.player.play(beats.filter(({ event }) => BEFORE.has(event.kind)), say);
    if (events.length > MOST) this.say(`${events.length} things happened; the event log has them.`);
    const lines = events.map((event) => beats.find((beat) => beat.event === event) ?? { event, sentence: told(event) });
    this.log = [...this.log, ...lines].slice(-KEPT);
    await this.refresh();
    await tick();
    await this.player.play(beats.filter(({ event }) => !BEFORE.has(event.kind)), say);
    this.settled?.();
  }

  /** False when the row is not read yet. */
  private select(index: number): boolean {
    this.cursor = Math.max(0, Math.min(index, this.view.total - 1));
    const row = this.view.rows[this.cursor - this.view.start];
    if (row) this.selected = row.entry.path;
    return row !== undefined;
  }

  /** Where the selection is among rows that came anew: it stays with its path, whatever came or went above it. */
  private async kept(rows: Row[], start: number): Promise<number> {
    const near = rows.findIndex(({ entry }) => entry.path === this.selected);
    if (near >= 0) return start + near;
    return (rows[this.cursor - start] && (await this.driver.rowOf(this.selected))) ?? this.cursor;
  }

  private async beat(event: OvlEvent, next: OvlEvent | undefined): Promise<Beat> {
    const from = event.kind === "copied_up" ? await this.origin(event.path) : undefined;
    return { event, from, sentence: told(event, from, next) };
  }

  /** The layer that a path was copied up from: the first below the upper that has it. */
  private async origin(path: string): Promise<string | undefined> {
    const why = await this.driver.why(path).catch(() => undefined);
    return why?.layers.find(({ layer, found }) => layer !== "upper" && found && found !== "whiteout")?.layer;
  }
}

/** A copy-up comes before what needed it, though it is told with the same generation behind it. */
function ordered(events: OvlEvent[]): OvlEvent[] {
  const rank = ({ kind }: OvlEvent): number => (kind === "copied_up" ? 0 : 1);
  return events
    .map((event, at) => ({ event, at }))
    .sort((a, b) => a.event.generation - b.event.generation || rank(a.event) - rank(b.event) || a.at - b.at)
    .map(({ event }) => event);
}
