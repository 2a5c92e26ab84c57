import type { SshReader } from '../../../../identity/ssh/wire.ts'
import type { SshFileAttributes } from '../../../../recording/ssh-events.ts'

/** A uint64. Beyond 2^53 it is not exact, and no file is so long. */
export function placeOf(fields: SshReader): number {
  return fields.uint32() * 2 ** 32 + fields.uint32()
}

/** @see draft-ietf-secsh-filexfer-02 section 5 */
export function readAttributes(fields: SshReader): SshFileAttributes {
  const flags = fields.uint32()
  return {
    ...((flags & 1) === 0 ? {} : { size: Math.min(placeOf(fields), Number.MAX_SAFE_INTEGER) }),
    ...((flags & 2) === 0 ? {} : { uid: fields.uint32(), gid: fields.uint32() }),
    ...((flags & 4) === 0 ? {} : { mode: modeText(fields.uint32()) }),
    ...((flags & 8) === 0 ? {} : { times: [fields.uint32(), fields.uint32()] as const }),
  }
}

/** Permissions alone, without the kind of file. */
function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}
