/** The version of the engine that is built in. */
declare const __VERSION__: string;
