/** A recording whose file could no longer be written: what is known to be on disk of it. */
export interface GivenUp {
  readonly why: string
  /** Length of the file. */
  readonly bytes: number
  /** Chain hash of the last segment, in hex: nobody has signed it, so whoever keeps it can tell another file. */
  readonly chain: string
}

/** Writes what happens in one session, in order, at the pace of the disk. */
export interface Recorder {
  /** False where the role says `recording: off`: then nothing needs decoding either. */
  readonly active: boolean
  /**
   * Appends one line `[seconds, code, data]`. Never throws and never waits: after it, look at `full`.
   * `data` must survive JSON.stringify; passwords are masked before they get here.
   */
  event(code: string, data: unknown): void
  /**
   * Appends one line `[seconds, code, {...data, "bytes": n}]` with the bytes themselves behind it. As `event` otherwise.
   * @param code begins with `=`, which is how readers know that bytes follow.
   * @param data if it is frozen, it is turned into JSON once for many calls: nothing in it may change.
   * @param bytes copied before this returns; at most 1 MiB.
   */
  bytes(code: `=${string}`, data: Readonly<Record<string, unknown>>, bytes: Uint8Array): void
  /**
   * As `event`, for what happens very often: code and data are JSON already, `"c",{"n":1}`.
   * @param tail copied before this returns: its first `tailBytes`.
   * @param atMs when it happened, by `clock.monotonicMs()`; lines stay in the order in which they are written.
   */
  encoded(tail: Buffer, tailBytes: number, atMs: number): void
  /** More than `maxUnsaved` is not on disk yet: stop reading until `drained()` resolves. */
  readonly full: boolean
  /** The same for those who have just looked at the clock: `nowMs` is `clock.monotonicMs()`. */
  isFullAt(nowMs: number): boolean
  /** Resolves when `full` is false again, at once if it is; rejects with Fault RECORDING_FAILED when the recording broke (strict). */
  drained(): Promise<void>
  /** Writes the last segment and the signed manifest. Resolves when they are on disk; rejects with Fault RECORDING_FAILED when the recording broke (strict). */
  seal(end: Readonly<Record<string, unknown>>): Promise<void>
  /** Set from when the recording broke; it is never sealed, as far as the gateway knows. */
  readonly givenUp?: GivenUp | undefined
}

/** Starts recordings. The gate owns the only one. */
export interface Recordings {
  /** Why no strict recording could be started now; null when one could. Never rejects. */
  problem(): Promise<Error | null>
  /**
   * @param header the session, as the recording's header line shall carry it.
   * @param onFailure called once when a strict recording can no longer be written.
   * @returns the recorder, and where the file lies below the recordings folder.
   * @throws Fault DISK_FULL when less than the threshold is free.
   */
  start(
    header: Readonly<Record<string, unknown>> & { readonly session: string },
    mode: 'strict' | 'bestEffort' | 'off',
    onFailure: (error: Error) => void,
  ): Promise<{ readonly recorder: Recorder; readonly path: string | null }>
}
