/** A client of SSH that says what a test wants, whether it may be said or not. */
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { signWithKey } from '../../src/identity/ssh/certificate.ts'
import { sshKeyPair, type SshKeyPair } from '../../src/identity/ssh/keys.ts'
import { sshBoolean, sshByte, SshReader, sshString, sshUint32 } from '../../src/identity/ssh/wire.ts'
import { signedBytes, type PublicKeyRequest } from '../../src/protocols/ssh/auth/messages.ts'
import { openTransport } from '../../src/protocols/ssh/transport-over-library.ts'
import type { Transport } from '../../src/protocols/ssh/transport.ts'

export class RawSsh implements AsyncDisposable {
  readonly transport: Transport
  readonly #unread: Buffer[] = []
  #wake: (() => void) | undefined

  constructor(transport: Transport) {
    this.transport = transport
    transport.onMessage = (message) => {
      this.#unread.push(message)
      this.#wake?.()
    }
    transport.gone.addEventListener('abort', () => this.#wake?.())
  }

  send(...parts: readonly Uint8Array[]): void {
    this.transport.send(Buffer.concat(parts))
  }

  /** Waits for a message with one of these numbers; others are thrown away. @throws when the connection ends before. */
  async until(...numbers: readonly number[]): Promise<Buffer> {
    for (;;) {
      const found = this.#unread.shift()
      if (found !== undefined && numbers.includes(found[0]!)) return found
      if (found !== undefined) continue
      this.transport.gone.throwIfAborted()
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  /** What is sent waits here until the peer takes it. */
  async drained(): Promise<void> {
    if (!this.transport.congested || this.transport.gone.aborted) return
    await new Promise<void>((resolve) => {
      this.transport.onDrain = resolve
      this.transport.gone.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** Opens a session channel. @returns the other end's number, and the window it gives. */
  async openSession(sender: number, windowBytes = 2 << 20): Promise<{ peer: number; windowBytes: number }> {
    this.send(sshByte(90), sshString('session'), ...[sender, windowBytes, 32_768].map(sshUint32))
    const reader = new SshReader(await this.until(91), 5)
    return { peer: reader.uint32(), windowBytes: reader.uint32() }
  }

  exec(peer: number, command: string | Uint8Array): void {
    this.send(sshByte(98), sshUint32(peer), sshString('exec'), sshBoolean(true), sshString(command))
  }

  /** Waits for the end that the other side makes. @returns why */
  async gone(): Promise<unknown> {
    const { gone } = this.transport
    if (!gone.aborted) await new Promise((resolve) => gone.addEventListener('abort', resolve, { once: true }))
    return gone.reason
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.transport.destroy()
    await this.gone()
  }
}

/** Connects as `open@web-1` by the certificate in `FILE-cert.pub`. */
export async function connectRaw(port: number, keyFile: string): Promise<RawSsh> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const signal = AbortSignal.timeout(10_000)
  const client = new RawSsh(await openTransport(socket, { signal, verifyHostKey: () => undefined }))
  client.send(sshByte(5), sshString('ssh-userauth'))
  await client.until(6)
  const [algorithm = '', blob = ''] = (await readFile(`${keyFile}-cert.pub`, 'utf8')).split(' ')
  const request: PublicKeyRequest = {
    method: 'publickey',
    user: 'open@web-1',
    service: 'ssh-connection',
    algorithm,
    blob: Buffer.from(blob, 'base64'),
    signature: null,
  }
  const signed = signedBytes(client.transport.sessionId, request)
  const signature = signWithKey(await readKey(keyFile), signed, 'ssh-ed25519')
  client.send(signed.subarray(4 + client.transport.sessionId.length), sshString(signature))
  const answer = await client.until(51, 52)
  if (answer[0] !== 52) throw new Error(`not let in: ${answer.toString('latin1')}`)
  return client
}

/** Of a file as ssh-keygen writes it, which Node cannot read. */
async function readKey(file: string): Promise<SshKeyPair> {
  const [, blob = ''] = (await readFile(`${file}.pub`, 'utf8')).split(' ')
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '' && !line.startsWith('-'))
  const reader = new SshReader(Buffer.from(lines.join(''), 'base64'), 'openssh-key-v1\0'.length)
  for (let skipped = 0; skipped < 3; skipped++) reader.string() // cipher, derivation, its options: none
  reader.uint32()
  reader.string() // the public key
  const secret = new SshReader(reader.string(), 8)
  secret.string() // its type
  const [publicBytes, both] = [secret.string(), secret.string()]
  const jwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    x: publicBytes.toString('base64url'),
    d: both.subarray(0, 32).toString('base64url'),
  }
  const pair = sshKeyPair(createPrivateKey({ key: jwk, format: 'jwk' }))
  if (pair.publicBlob.toString('base64') !== blob) throw new Error(`${file} was not read rightly`)
  return pair
}
