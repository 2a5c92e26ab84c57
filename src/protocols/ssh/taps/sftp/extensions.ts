import type { SshReader } from '../../../../identity/ssh/wire.ts'
import { shownText } from '../text.ts'
import { readAttributes } from './attributes.ts'
import type { AwaitedOperation } from './awaited.ts'
import type { Handles } from './handles.ts'
import type { OpenFile, OpenFolder } from './open-file.ts'

export interface Extension {
  readonly operation: AwaitedOperation
  readonly isLook: boolean
}

/** The target copies from one open file to another by itself. */
export interface Copy {
  readonly from: OpenFile | OpenFolder
  readonly to: OpenFile | OpenFolder
}

/**
 * Reads an extended request, from its name on.
 * @see OpenSSH's PROTOCOL, section 4; draft-ietf-secsh-filexfer-extensions-00 for copying
 */
export function readExtension(fields: SshReader, handles: Handles): Extension | Copy {
  const name = shownText(fields.string())
  switch (name) {
    case 'posix-rename@openssh.com':
      return change({ op: 'rename', path: text(fields), to: text(fields) })
    case 'copy-file':
      return change({ op: 'copy', path: text(fields), to: text(fields) })
    case 'hardlink@openssh.com': {
      const to = text(fields)
      return change({ op: 'link', path: text(fields), to })
    }
    case 'lsetstat@openssh.com':
      return change({ op: 'setstat', path: text(fields), set: readAttributes(fields) })
    case 'copy-data':
      return copyData(fields, handles)
    case 'expand-path@openssh.com':
      return { operation: { op: 'realpath', path: text(fields) }, isLook: true }
    case 'statvfs@openssh.com':
      return { operation: { op: 'extended', path: name, to: text(fields) }, isLook: true }
    case 'fstatvfs@openssh.com':
    case 'fsync@openssh.com':
      return { operation: { op: 'extended', path: name, to: handles.pathOf(fields.string()) }, isLook: true }
    case 'limits@openssh.com':
    case 'users-groups-by-id@openssh.com':
      return { operation: { op: 'extended', path: name }, isLook: true }
    default:
      return change({ op: 'extended', path: name })
  }
}

function change(operation: AwaitedOperation): Extension {
  return { operation, isLook: false }
}

function copyData(fields: SshReader, handles: Handles): Copy {
  const from = handles.use(fields.string())
  fields.bytes(8 + 8) // from where, and how much
  return { from, to: handles.use(fields.string()) }
}

function text(fields: SshReader): string {
  return shownText(fields.string())
}
