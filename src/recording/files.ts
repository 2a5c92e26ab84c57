import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, statfs } from 'node:fs/promises'
import path from 'node:path'
import { DirectWrites } from './direct-writes.ts'
import { writing } from './disk-turns.ts'

/** Where recordings are written. Paths are relative, with `/`. When a promise resolves, the bytes are on the disk. */
export interface RecordingFiles extends AsyncDisposable {
  /** Makes a new file; fails when there is one. */
  create(file: string, bytes: Buffer): Promise<void>
  /** Writes `buffers` at `offset`, the end of the file. */
  append(file: string, buffers: readonly Uint8Array[], offset: number): Promise<void>
  /** Nothing more will be appended. */
  close(file: string): Promise<void>
  freeBytes(): Promise<number>
}

/** On Linux a write can wait for the disk itself, which saves a way to another thread and back for each. */
const writesWait = process.platform === 'linux'
const toWrite = constants.O_RDWR | (writesWait ? constants.O_DSYNC : 0)

/** Files kept open between writes, however many sessions there are. */
const openFilesMax = 256

/** Recordings below `folder` on a local disk. */
export class DiskFiles implements RecordingFiles {
  readonly #folder: string
  /** In the order of their last use. */
  readonly #open = new Map<string, Promise<FileHandle>>()
  /** The same files again, opened for writing past the system's cache; null where that is not possible. */
  readonly #openDirect = new Map<string, Promise<FileHandle | null>>()
  readonly #direct = new DirectWrites()
  readonly #inUse = new Map<string, number>()
  readonly #folderSyncs = new Map<string, FolderSync>()
  readonly #made = new Set<string>()

  constructor(folder: string) {
    this.#folder = folder
  }

  async create(file: string, bytes: Buffer): Promise<void> {
    const whole = path.join(this.#folder, file)
    await this.#makeFolder(path.dirname(whole))
    const handle = await writing.take(() => open(whole, toWrite | constants.O_CREAT | constants.O_EXCL, 0o600))
    // At once: most file systems bring the bytes and the name to the disk in one go.
    await Promise.all([
      this.#use(file, Promise.resolve(handle), () => writeThrough(handle, [bytes], 0)),
      this.#syncFolder(path.dirname(whole)),
    ])
  }

  async append(file: string, buffers: readonly Uint8Array[], offset: number): Promise<void> {
    const opened = this.#open.get(file) ?? writing.take(() => open(path.join(this.#folder, file), toWrite))
    await this.#use(file, opened, async (handle) => {
      const written = await this.#writeDirect(file, buffers, offset)
      await writeThrough(handle, dropBytes(buffers, written), offset + written)
    })
  }

  /** @returns how many bytes are on the disk. */
  async #writeDirect(file: string, buffers: readonly Uint8Array[], offset: number): Promise<number> {
    const bytes = buffers.reduce((sum, { length }) => sum + length, 0)
    if (!this.#direct.suits(offset, bytes)) return 0
    const opened = this.#openDirect.get(file) ?? this.#direct.open(path.join(this.#folder, file))
    this.#openDirect.set(file, opened)
    const handle = await opened
    return handle === null ? 0 : this.#direct.write(handle, buffers, offset)
  }

  async close(file: string): Promise<void> {
    const handles = [this.#open.get(file), this.#openDirect.get(file)]
    this.#open.delete(file)
    this.#openDirect.delete(file)
    for (const opened of handles) {
      const handle = await opened
      if (handle !== null && handle !== undefined) await writing.take(() => handle.close())
    }
  }

  async freeBytes(): Promise<number> {
    return writing.take(() => freeBytesAt(this.#folder))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open.keys()].map((file) => this.close(file)))
  }

  async #use(file: string, handle: Promise<FileHandle>, work: (handle: FileHandle) => Promise<void>): Promise<void> {
    this.#open.delete(file)
    this.#open.set(file, handle)
    this.#inUse.set(file, (this.#inUse.get(file) ?? 0) + 1)
    try {
      await work(await handle)
    } catch (error) {
      await this.close(file).catch(() => {}) // the first failure is the one to tell
      throw error
    } finally {
      this.#inUse.set(file, this.#inUse.get(file)! - 1)
      if (this.#inUse.get(file) === 0) this.#inUse.delete(file)
      await this.#closeOldest()
    }
  }

  async #closeOldest(): Promise<void> {
    for (const file of this.#open.keys()) {
      if (this.#open.size <= openFilesMax) return
      if (!this.#inUse.has(file)) await this.close(file)
    }
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#made.has(folder)) return
    await writing.take(() => mkdir(folder, { recursive: true, mode: 0o700 }))
    // A new day's folder is only as durable as its name in the folders above it.
    for (let above = path.dirname(folder); above.startsWith(this.#folder); above = path.dirname(above)) {
      await this.#syncFolder(above)
    }
    this.#made.clear()
    this.#made.add(folder)
  }

  /** Callers that come while a sync runs share the next one. */
  #syncFolder(folder: string): Promise<void> {
    const sync = this.#folderSyncs.get(folder) ?? new FolderSync(folder)
    this.#folderSyncs.set(folder, sync)
    return sync.request().finally(() => {
      if (sync.idle) this.#folderSyncs.delete(folder)
    })
  }
}

class FolderSync {
  readonly #folder: string
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null

  constructor(folder: string) {
    this.#folder = folder
  }

  get idle(): boolean {
    return this.#running === null && this.#next === null
  }

  request(): Promise<void> {
    if (this.#running === null) return this.#run()
    this.#next ??= this.#running.then(noop, noop).then(() => {
      this.#next = null
      return this.#run()
    })
    return this.#next
  }

  #run(): Promise<void> {
    const run = syncFolder(this.#folder).finally(() => {
      if (this.#running === run) this.#running = null
    })
    this.#running = run
    return run
  }
}

function noop(): void {}

async function syncFolder(folder: string): Promise<void> {
  const handle = await writing.take(() => open(folder, 'r'))
  try {
    await writing.take(() => handle.sync())
  } finally {
    await writing.take(() => handle.close())
  }
}

/** Resolves when the bytes are on the disk, with what of the file's size is needed to read them back. */
async function writeThrough(handle: FileHandle, buffers: readonly Uint8Array[], offset: number): Promise<void> {
  if (buffers.length === 0) return
  await writeAll(handle, buffers, offset)
  if (!writesWait) await writing.take(() => handle.datasync())
}

async function writeAll(handle: FileHandle, buffers: readonly Uint8Array[], offset: number): Promise<void> {
  let rest = buffers.filter((buffer) => buffer.length > 0)
  let at = offset
  while (rest.length > 0) {
    const { bytesWritten } = await writing.take(() => handle.writev(rest, at))
    at += bytesWritten
    rest = dropBytes(rest, bytesWritten)
  }
}

function dropBytes(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  let first = 0
  while (first < buffers.length && left >= buffers[first]!.length) left -= buffers[first++]!.length
  const rest = buffers.slice(first)
  if (left > 0) rest[0] = rest[0]!.subarray(left)
  return rest
}

/** Bytes that an ordinary user may still write on the disk that holds `folder`. */
export async function freeBytesAt(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
