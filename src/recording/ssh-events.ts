/**
 * The codes of an SSH recording and what each carries: the vocabulary that the relay writes and that replay and the
 * pages read. One recording holds one connection with all its channels; `ch` numbers them from 1.
 * docs/recording-format.md explains them for other programs; a test compares the two lists.
 */
export interface SshEvents {
  /** A channel opens. `to`, `from`: `host:port` or a socket's path, of forwarded connections. */
  readonly ch: {
    readonly ch: number
    readonly kind: SshChannelKind
    readonly to?: string
    readonly from?: string
  }
  readonly pty: { readonly ch: number; readonly term: string; readonly cols: number; readonly rows: number }
  readonly env: { readonly ch: number; readonly name: string; readonly value: string }
  /** What a session channel runs. */
  readonly run: {
    readonly ch: number
    readonly what: 'shell' | 'exec' | 'subsystem'
    /** The command, or the subsystem's name. */
    readonly command?: string
    /** Only when it was cut: length of the whole, and its SHA-256, hex. */
    readonly bytes?: number
    readonly sha256?: string
  }
  /** The terminal has another size now. */
  readonly r: { readonly ch: number; readonly cols: number; readonly rows: number }
  /** The client sends a signal, `INT` without `SIG`. */
  readonly sig: { readonly ch: number; readonly name: string }
  /** What ran has ended. */
  readonly x: {
    readonly ch: number
    readonly status?: number
    readonly signal?: string
    readonly message?: string
  }
  /** One operation on files at the target, by SFTP or SCP, when it is over. */
  readonly f: {
    readonly ch: number
    readonly op: SshFileOperation
    readonly path: string
    /** The new name of a `rename` or `copy`; what a `symlink`, `link`, `readlink` or `realpath` leads to. */
    readonly to?: string
    /** Of SCP, where `path` may be the file or the folder that it went into: what the sender calls it. */
    readonly name?: string
    /** `up`: to the target. */
    readonly direction?: 'up' | 'down'
    /** Of the content that passed. */
    readonly bytes?: number
    /** How many names a `list` gave. */
    readonly names?: number
    /** What a `setstat` sets; `mode` octal, `times` in seconds since 1970: access, change. */
    readonly set?: SshFileAttributes
    /** How many operations this line stands for, where a flood is only counted; `path` is empty then. */
    readonly count?: number
    /** Of the content, hex; absent when it did not pass in order from its first byte. */
    readonly sha256?: string
    /** `ok`, or the server's words; `unfinished` when the channel ended first. */
    readonly result: string
    /** Since it began. */
    readonly ms: number
  }
  /** The gate no longer understands this channel's protocol, and why; from here it is recorded as a command's. */
  readonly lost: { readonly ch: number; readonly why: string }
  /** The target listens for the client, or no longer does (`-R`). */
  readonly fw: { readonly address: string; readonly action: 'listen' | 'cancel'; readonly ok: boolean }
  /** The role does not allow it, or the target does not run it. */
  readonly no: { readonly what: string; readonly why: string }
  /** A channel is over. Bytes of data in each direction. */
  readonly end: {
    readonly ch: number
    readonly bytesUp: number
    readonly bytesDown: number
    /** Of all that went up (after `lost`: since then), hex, where it went to a command and is not recorded itself. */
    readonly sha256Up?: string
  }
  /** The gate spoke to the person. */
  readonly m: { readonly kind: 'notice' | 'warning' | 'cut'; readonly text: string; readonly code?: string }
}
export type SshCode = keyof SshEvents

/** Bytes as they passed, exactly. Their codes begin with `=`: raw bytes follow the line (see docs/recording-format.md). */
export interface SshBytes {
  /** Output: of a terminal, or standard output. */
  readonly '=o': { readonly ch: number }
  /** Standard error. */
  readonly '=e': { readonly ch: number }
  /** Input, where the role says so. */
  readonly '=i': { readonly ch: number }
}
export type SshBytesCode = keyof SshBytes

export type SshChannelKind = 'session' | 'forward-local' | 'forward-remote' | 'agent'
export type SshFileOperation =
  | 'read'
  | 'write'
  | 'list'
  | 'stat'
  | 'setstat'
  | 'mkdir'
  | 'rmdir'
  | 'remove'
  | 'rename'
  | 'copy'
  | 'symlink'
  | 'link'
  | 'readlink'
  | 'realpath'
  /** Another request of SFTP: `path` is its name, `to` the file it is about. */
  | 'extended'

export interface SshFileAttributes {
  readonly size?: number
  readonly uid?: number
  readonly gid?: number
  readonly mode?: string
  readonly times?: readonly [number, number]
}

/** Every code, with its name in words. */
export const sshCodes: Readonly<Record<SshCode | SshBytesCode, string>> = {
  ch: 'channel',
  pty: 'terminal',
  env: 'environment',
  run: 'run',
  r: 'resize',
  sig: 'signal',
  x: 'exit',
  f: 'file operation',
  lost: 'not understood',
  fw: 'remote forward',
  no: 'refused',
  end: 'channel end',
  m: 'message of the gate',
  '=o': 'output',
  '=e': 'errors',
  '=i': 'input',
}
