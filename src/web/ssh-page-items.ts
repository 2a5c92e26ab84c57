import type { SshChannel, SshItem } from '../recording/ssh-timeline.ts'

/** What one page shows of an SSH connection. Lists are bounded; the counts are not. */
export interface SshPageItems {
  /** That run something, or were opened for it. */
  readonly channels: readonly SshChannel[]
  readonly channelCount: number
  readonly forwards: readonly SshChannel[]
  readonly forwardCount: number
  readonly files: readonly FileItem[]
  readonly fileCount: number
  /** Of those that were asked for. */
  readonly matchCount: number
  /** Matches that only looked, and are left out for it. */
  readonly lookCount: number
  readonly refusals: readonly (SshItem & { kind: 'refused' })[]
  readonly refusalCount: number
  readonly listens: readonly (SshItem & { kind: 'remote-forward' })[]
  readonly said: readonly (SshItem & { kind: 'gate' })[]
}

export type FileItem = SshItem & { readonly kind: 'file' }

export interface FilesWanted {
  /** Lower-case words in a path; empty: all. */
  readonly path: string
  /** One operation, `up`, `down`, or `all`; empty: those that change something or carry content. */
  readonly op: string
  /** Matches passed over: those of the pages before. */
  readonly skip: number
}

export const filesShownMax = 500
const channelsMax = 500
const othersMax = 200

export async function collectSshItems(items: AsyncIterable<SshItem>, wanted: FilesWanted): Promise<SshPageItems> {
  const page = new Collector(wanted)
  for await (const item of items) page.add(item)
  page.channels.sort((left, right) => left.ch - right.ch)
  page.forwards.sort((left, right) => left.ch - right.ch)
  return page
}

class Collector implements SshPageItems {
  readonly channels: SshChannel[] = []
  channelCount = 0
  readonly forwards: SshChannel[] = []
  forwardCount = 0
  readonly files: FileItem[] = []
  fileCount = 0
  matchCount = 0
  lookCount = 0
  readonly refusals: (SshItem & { kind: 'refused' })[] = []
  refusalCount = 0
  readonly listens: (SshItem & { kind: 'remote-forward' })[] = []
  readonly said: (SshItem & { kind: 'gate' })[] = []
  readonly #wanted: FilesWanted

  constructor(wanted: FilesWanted) {
    this.#wanted = wanted
  }

  add(item: SshItem): void {
    switch (item.kind) {
      case 'end':
        return this.#addChannel(item.channel)
      case 'file':
        return this.#addFile(item)
      case 'refused':
        this.refusalCount++
        return keep(this.refusals, item, othersMax)
      case 'remote-forward':
        return keep(this.listens, item, othersMax)
      case 'gate':
        return keep(this.said, item, othersMax)
      default:
    }
  }

  #addChannel(channel: SshChannel): void {
    if (channel.kind === 'session' || channel.kind === null) {
      this.channelCount++
      keep(this.channels, channel, channelsMax)
    } else {
      this.forwardCount++
      keep(this.forwards, channel, othersMax)
    }
  }

  #addFile(file: FileItem): void {
    this.fileCount += file.count ?? 1
    if (!isWanted(file, this.#wanted)) return
    if (this.#wanted.op === '' && onlyLooks(file)) {
      this.lookCount += file.count ?? 1
      return
    }
    this.matchCount++
    if (this.matchCount > this.#wanted.skip) keep(this.files, file, filesShownMax)
  }
}

function keep<Item>(list: Item[], item: Item, max: number): void {
  if (list.length < max) list.push(item)
}

function isWanted({ path, to, name, op, direction }: FileItem, wanted: FilesWanted): boolean {
  const texts = [path, to ?? '', name ?? '']
  if (wanted.path !== '' && !texts.some((text) => text.toLowerCase().includes(wanted.path))) return false
  return ['', 'all', op, direction].includes(wanted.op)
}

/** Clients do this much by themselves. A list tells names, and what is not known here may change something. */
const looks: ReadonlySet<string> = new Set(['stat', 'realpath', 'readlink'])
const lookingRequests: ReadonlySet<string> = new Set([
  'limits@openssh.com',
  'users-groups-by-id@openssh.com',
  'statvfs@openssh.com',
  'fstatvfs@openssh.com',
  'fsync@openssh.com',
])

function onlyLooks({ op, path }: FileItem): boolean {
  return looks.has(op) || (op === 'extended' && lookingRequests.has(path))
}
