import { open, type FileHandle } from 'node:fs/promises'
import { Fault } from '../kernel/fault.ts'
import { reading } from './disk-turns.ts'

/** Bytes that can be read by range: a file, or an object in a bucket. */
export interface ByteSource extends AsyncDisposable {
  readonly sizeBytes: number
  /** Fewer than `lengthBytes` only at the end. */
  read(offset: number, lengthBytes: number): Promise<Buffer>
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'no permission to read it',
  EPERM: 'no permission to read it',
}

/** @throws Fault RECORDING_UNREADABLE when the file cannot be opened, or is none. */
export async function openFile(file: string): Promise<ByteSource> {
  const handle = await reading
    .take(() => open(file, 'r'))
    .catch((cause: NodeJS.ErrnoException) => {
      const reason = reasons[cause.code ?? '']
      throw new Fault('RECORDING_UNREADABLE', `${file} cannot be opened${reason === undefined ? '' : `: ${reason}`}`, {
        cause,
      })
    })
  const { size, isFolder } = await look(handle).catch(async (cause: unknown) => {
    await reading.take(() => handle.close())
    throw new Fault('RECORDING_UNREADABLE', `${file} cannot be looked at`, { cause })
  })
  if (isFolder) {
    await reading.take(() => handle.close())
    throw new Fault('RECORDING_UNREADABLE', `${file} is a folder`)
  }
  return {
    sizeBytes: size,
    async read(offset, lengthBytes) {
      const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(lengthBytes, size - offset)))
      const { bytesRead } = await reading.take(() => handle.read(buffer, 0, buffer.length, offset))
      return buffer.subarray(0, bytesRead)
    },
    [Symbol.asyncDispose]: () => reading.take(() => handle.close()),
  }
}

async function look(handle: FileHandle): Promise<{ readonly size: number; readonly isFolder: boolean }> {
  const stats = await reading.take(() => handle.stat())
  return { size: stats.size, isFolder: stats.isDirectory() }
}

const pieceBytes = 256 * 1024

/** All of it, in order. */
export async function* pieces(source: ByteSource): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.sizeBytes; at += pieceBytes) yield await source.read(at, pieceBytes)
}

const windowBytes = 64 * 1024

/** Answers small reads that lie close together from one larger read. */
export class Window {
  readonly #source: ByteSource
  #offset = 0
  #bytes: Buffer = Buffer.alloc(0)

  constructor(source: ByteSource) {
    this.#source = source
  }

  async read(offset: number, lengthBytes: number): Promise<Buffer> {
    const wantedEnd = Math.min(offset + lengthBytes, this.#source.sizeBytes)
    if (offset < this.#offset || wantedEnd > this.#offset + this.#bytes.length) {
      this.#bytes = await this.#source.read(offset, Math.max(lengthBytes, windowBytes))
      this.#offset = offset
    }
    const start = offset - this.#offset
    return this.#bytes.subarray(start, start + lengthBytes)
  }
}
