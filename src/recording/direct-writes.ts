import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { alignmentBytes } from './compression.ts'
import { writing } from './disk-turns.ts'

/** Node has it; the types that we use do not tell. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => {
    readonly buffer: ArrayBuffer
  }
}

/** Of WebAssembly's memory. */
const pageBytes = 64 * 1024
const stageBytes = 1024 * 1024
/** Less is written as well through the system's cache. */
const directBytesMin = 64 * 1024

/**
 * Writes past the system's cache, where nobody looks for a recording soon: the system need not find memory for it, copy
 * into it and clear it away again. Disk and memory must be aligned for that (open(2), O_DIRECT); memory of WebAssembly
 * is the one that Node gives at the beginning of a page.
 */
export class DirectWrites {
  #isPossible: boolean = process.platform === 'linux'
  readonly #stages: Uint8Array[] = []

  /** @param offset in the file. */
  suits(offset: number, bytes: number): boolean {
    return this.#isPossible && bytes >= directBytesMin && offset % alignmentBytes === 0 && bytes % alignmentBytes === 0
  }

  /** @returns null where the system has no such way to this file, or too few handles to give one away for it. */
  async open(file: string): Promise<FileHandle | null> {
    try {
      return await writing.take(() => open(file, constants.O_WRONLY | constants.O_DSYNC | constants.O_DIRECT))
    } catch (error) {
      return isShortage(error) ? null : this.#giveUp(error)
    }
  }

  /**
   * @param buffers whole, as `suits` was asked.
   * @returns how many bytes of them are on the disk: all, or fewer where it was not possible.
   */
  async write(handle: FileHandle, buffers: readonly Uint8Array[], offset: number): Promise<number> {
    const stage = this.#stages.pop() ?? this.#newStage()
    if (stage === null) return 0
    try {
      return await writeStaged(handle, buffers, offset, stage)
    } catch (error) {
      this.#giveUp(error)
      return 0
    } finally {
      this.#stages.push(stage)
    }
  }

  #newStage(): Uint8Array | null {
    try {
      const pages = stageBytes / pageBytes
      return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer)
    } catch {
      this.#isPossible = false // a limit on address space, for one; the usual way needs none
      return null
    }
  }

  /** @throws what is another failure than that it is not possible. */
  #giveUp(error: unknown): null {
    if (!isRefusal(error)) throw error
    this.#isPossible = false
    return null
  }
}

/** File systems without such writes, or with other wishes, say so. */
function isRefusal(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'EINVAL' || code === 'EOPNOTSUPP' || code === 'ENOTSUP'
}

/** It passes; and the usual way has its handle already. */
function isShortage(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'EMFILE' || code === 'ENFILE'
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

async function writeStaged(
  handle: FileHandle,
  buffers: readonly Uint8Array[],
  offset: number,
  stage: Uint8Array,
): Promise<number> {
  let written = 0
  for (const bytes of stagedPieces(buffers, stage)) {
    const at = offset + written
    const { bytesWritten } = await writing.take(() => handle.write(stage, 0, bytes, at))
    written += bytesWritten
    if (bytesWritten < bytes) break
  }
  return written
}

/** Fills `stage` again and again; yields how full it is. */
function* stagedPieces(buffers: readonly Uint8Array[], stage: Uint8Array): Generator<number> {
  let used = 0
  for (const buffer of buffers) {
    for (let at = 0; at < buffer.length;) {
      const end = Math.min(buffer.length, at + stage.length - used)
      stage.set(at === 0 && end === buffer.length ? buffer : buffer.subarray(at, end), used)
      used += end - at
      at = end
      if (used < stage.length) continue
      yield used
      used = 0
    }
  }
  if (used > 0) yield used
}
