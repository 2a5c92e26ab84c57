import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { compileFunction } from 'node:vm'
import { cipherFactories, type CipherFactories } from './aes-gcm.ts'
import { applyEdit, edits } from './edits.ts'
import { extensions } from './extensions.ts'
import { messageTable } from './message-table.ts'
import { pinnedFiles, pinnedVersion } from './pinned.ts'
import type { Library, Protocol } from './types.ts'

/** Exports of a CommonJS module. */
type Exports = Record<string, unknown>

/** Node's own modules that the library may use, and the two packages it rests on. */
const allowed = ['assert', 'buffer', 'crypto', 'fs', 'path', 'util', 'asn1', 'bcrypt-pbkdf']

/**
 * Loads ssh2's protocol layer into a module cache of its own: each file is compared with what was pinned, changed where
 * edits.ts says so, and compiled. Nothing else of the package runs; its native code is not asked for.
 * @throws Error when a file is not the pinned one.
 */
export async function loadLibrary(packageFolder: string = installedFolder()): Promise<Library> {
  const modules = new Modules(packageFolder)
  const crypto = modules.load('crypto.js') as { init: Promise<void> }
  await crypto.init
  return {
    Protocol: modules.load('Protocol.js') as unknown as Library['Protocol'],
    parsePrivateKey: privateKeyParser(modules.load('keyParser.js')),
  }
}

function installedFolder(): string {
  return path.dirname(createRequire(import.meta.url).resolve('ssh2/package.json'))
}

class Modules {
  readonly #folder: string
  readonly #requireOfLibrary: NodeJS.Require
  readonly #texts: ReadonlyMap<string, string>
  readonly #loaded = new Map<string, Exports>()

  constructor(packageFolder: string) {
    this.#folder = path.join(packageFolder, 'lib', 'protocol')
    this.#requireOfLibrary = createRequire(path.join(this.#folder, 'Protocol.js'))
    this.#texts = this.#readAll()
  }

  /** @param name relative to lib/protocol. */
  load(name: string): Exports {
    const known = this.#loaded.get(name)
    if (known !== undefined) return known
    const module: { exports: Exports } = { exports: {} }
    this.#loaded.set(name, module.exports) // kex.js and our message table want each other
    const file = path.join(this.#folder, name)
    const parameters = ['exports', 'require', 'module', '__filename', '__dirname', 'curfew']
    const run = compileFunction(this.#textOf(name), parameters, { filename: file }) as (...args: unknown[]) => void
    const require = (id: string) => this.#require(path.dirname(name), id)
    run(module.exports, require, module, file, path.dirname(file), extensions)
    const exports = amend(name, module.exports)
    this.#loaded.set(name, exports)
    return exports
  }

  #textOf(name: string): string {
    const text = this.#texts.get(name)
    if (text === undefined) throw new Error(`${name} of ssh2 has not been read before`)
    return text
  }

  /** All files are compared before the first of them runs. */
  #readAll(): ReadonlyMap<string, string> {
    return new Map(Object.keys(pinnedFiles).map((name) => [name, this.#read(name)]))
  }

  #read(name: string): string {
    const file = path.join(this.#folder, name)
    const text = readFileSync(file, 'utf8')
    const hash = createHash('sha256').update(text).digest('hex')
    if (hash !== pinnedFiles[name]) {
      throw new Error(`${file} is not the one of ssh2 ${pinnedVersion} that the gateway was written for (${hash})`)
    }
    return (edits[name] ?? []).reduce(applyEdit, text)
  }

  #require(from: string, id: string): unknown {
    if (id === '../../package.json') return { version: pinnedVersion }
    if (id === './handlers.js')
      return messageTable(this.load('kex.js')['HANDLERS'] as Parameters<typeof messageTable>[0])
    if (id === './zlib.js') return plainPackets
    if (id.startsWith('./') && !id.endsWith('.node')) return this.load(path.join(from, id))
    if (allowed.includes(id)) return this.#requireOfLibrary(id)
    // Its native code, and what looks for features of the processor: it does without either.
    throw new Error(`${id} is not loaded`)
  }
}

/** What our own parts replace in a module's exports. */
function amend(name: string, exports: Exports): Exports {
  if (name === 'crypto.js') return Object.assign(exports, cipherFactories(exports as unknown as CipherFactories))
  if (name === 'utils.js')
    return Object.assign(exports, { doFatalError, convertSignature: (signature: Buffer) => signature })
  return exports
}

/** As the library's own, but whoever holds the protocol says goodbye, with a reason that can be read. */
function doFatalError(protocol: Protocol, what: Error | string, level?: string | number, reason?: number): number {
  const error = what instanceof Error ? what : new Error(what)
  const given = typeof level === 'number' ? level : reason
  protocol._handlers.failed(error, given ?? protocolError)
  return Infinity
}

const protocolError = 2

/** Packets as they are. Compression before or after sign-in is never agreed on, so its code is not loaded. */
const plainPackets = {
  PacketReader: class {
    cleanup(): void {}
    read(data: Buffer): Buffer {
      return data
    }
  },
  PacketWriter: class {
    allocStart = 5
    allocStartKEX = 5
    readonly #protocol: Protocol
    constructor(protocol: Protocol) {
      this.#protocol = protocol
    }
    cleanup(): void {}
    alloc(payloadBytes: number): Buffer {
      return this.#protocol._cipher.allocPacket(payloadBytes)
    }
    finalize(packet: Buffer): Buffer {
      return packet
    }
  },
}

interface ParsedKey {
  getPrivatePEM(): string | null
}

function privateKeyParser(keyParser: Exports): Library['parsePrivateKey'] {
  const parse = keyParser['parseKey'] as (text: string) => ParsedKey | ParsedKey[] | Error
  return (text) => {
    const parsed = parse(text)
    const key = Array.isArray(parsed) ? parsed[0] : parsed
    const pem = key === undefined || key instanceof Error ? null : key.getPrivatePEM()
    return pem === null ? undefined : { pem }
  }
}
