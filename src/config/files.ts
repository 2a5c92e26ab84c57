import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { NoMmdbFile, readMmdbFile } from '../kernel/mmdb-file.ts'
import { Secret } from '../kernel/secret.ts'
import type { TlsIdentity } from './config.ts'
import type { ConfigPath, Finding } from './problems.ts'
import { SecretFile, withoutLastNewline } from './secret-file.ts'

/** Reads what the configuration file refers to. Failures are collected, never thrown, so that all are seen at once. */
export interface ReferenceReader {
  readonly findings: Finding[]
  readonly notices: Finding[]
  /** @param reference `env:NAME` or `file:PATH`. */
  secret(path: ConfigPath, reference: string): Promise<Secret | undefined>
  /** As `secret`; one in a file is read again whenever it is used. */
  livingSecret(path: ConfigPath, reference: string): Promise<Secret | SecretFile | undefined>
  /** A file's text. */
  text(path: ConfigPath, file: string): Promise<string | undefined>
  /** One or more PEM certificates to trust. */
  authorities(path: ConfigPath, file: string): Promise<string | undefined>
  /** A file in the format of MaxMind DB. @returns its absolute path */
  database(path: ConfigPath, file: string): Promise<string | undefined>
  /** A certificate with the key that belongs to it. */
  tls(path: ConfigPath, files: { certificate: string; key: string }): Promise<TlsIdentity | undefined>
}

const fileBytesMax = 1024 * 1024

/** @param folder what relative paths are relative to. */
export function createReferenceReader(folder: string, environment: NodeJS.ProcessEnv): ReferenceReader {
  const findings: Finding[] = []
  const notices: Finding[] = []

  const secret = async (path: ConfigPath, reference: string) => {
    const text = reference.startsWith('env:')
      ? fromEnvironment(path, reference.slice('env:'.length))
      : await fromSecretFile(path, reference.slice('file:'.length))
    if (text === undefined) return undefined
    if (text !== '') return new Secret(text)
    findings.push({ path, message: `${reference} is empty` })
    return undefined
  }

  const fromEnvironment = (path: ConfigPath, name: string) => {
    const value = environment[name]
    if (value === undefined) {
      findings.push({ path, message: `the environment variable ${name} is not set`, hint: `Start with ${name}=… set.` })
    }
    return value
  }

  const livingSecret = async (path: ConfigPath, reference: string) => {
    const first = await secret(path, reference)
    if (first === undefined || !reference.startsWith('file:')) return first
    return new SecretFile(resolve(folder, reference.slice('file:'.length)), first)
  }

  const fromSecretFile = async (path: ConfigPath, name: string) => {
    const file = resolve(folder, name)
    const text = await read(path, file)
    if (text === undefined) return undefined
    const { mode } = await stat(file)
    if ((mode & 0o004) !== 0) {
      notices.push({ path, message: `everybody on this machine can read ${file}`, hint: `chmod o-r ${file}` })
    }
    return withoutLastNewline(text)
  }

  const read = async (path: ConfigPath, file: string) => {
    try {
      const { size } = await stat(file)
      if (size <= fileBytesMax) return await readFile(file, 'utf8')
      findings.push({ path, message: `${file} has ${size} bytes`, expected: `a file of at most ${fileBytesMax} bytes` })
    } catch (error) {
      findings.push({ path, message: `cannot read ${file}: ${reasonOf(error)}` })
    }
    return undefined
  }

  const certificates = async (path: ConfigPath, name: string) => {
    const file = resolve(folder, name)
    const text = await read(path, file)
    if (text === undefined) return undefined
    const parsed = parseCertificates(text)
    if (parsed !== undefined) return { text, first: parsed[0] }
    findings.push({ path, expected: 'PEM certificates', message: `${file} holds something else` })
    return undefined
  }

  return {
    findings,
    notices,
    secret,
    livingSecret,
    text: (path, name) => read(path, resolve(folder, name)),
    async database(path, name) {
      const file = resolve(folder, name)
      const problem = await readMmdbFile(file).then(
        () => undefined,
        (error: unknown) =>
          error instanceof NoMmdbFile ? `${file} ${error.message}` : `cannot read ${file}: ${reasonOf(error)}`,
      )
      if (problem === undefined) return file
      findings.push({ path, message: problem })
      return undefined
    },
    authorities: async (path, name) => (await certificates(path, name))?.text,
    tls: async (path, files) => {
      const certificate = await certificates([...path, 'certificate'], files.certificate)
      const key = await secret([...path, 'key'], files.key)
      if (certificate === undefined || key === undefined) return undefined
      findings.push(...keyFindings([...path, 'key'], key, certificate.first))
      notices.push(...ageNotices([...path, 'certificate'], certificate.first))
      return { certificate: certificate.text, key }
    },
  }
}

/** Undefined unless the text holds at least one certificate, and nothing that claims to be one and is not. */
function parseCertificates(text: string): readonly [X509Certificate, ...X509Certificate[]] | undefined {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  try {
    const [first, ...rest] = blocks.map((block) => new X509Certificate(block))
    return first === undefined ? undefined : [first, ...rest]
  } catch {
    return undefined // the caller says what was expected; OpenSSL's words would not help
  }
}

function keyFindings(path: ConfigPath, key: Secret, certificate: X509Certificate): readonly Finding[] {
  try {
    if (certificate.checkPrivateKey(createPrivateKey(key.reveal()))) return []
    return [{ path, message: `this key does not belong to the certificate (${certificate.subject})` }]
  } catch {
    // OpenSSL's message is dropped: it may quote what it could not read.
    return [{ path, expected: 'a PEM private key without a passphrase', message: 'got something else' }]
  }
}

function ageNotices(path: ConfigPath, certificate: X509Certificate): readonly Finding[] {
  if (certificate.validToDate.getTime() > performance.timeOrigin) return []
  return [{ path, message: `the certificate ended on ${certificate.validToDate.toISOString()}` }]
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
}

/** What the system says about a file, in words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return reasons[code] ?? (error instanceof Error ? error.message : String(error))
}

/** Null: there is none. Undefined: it could not be read. */
export async function optionalCa(
  path: ConfigPath,
  file: string | undefined,
  reader: ReferenceReader,
): Promise<string | null | undefined> {
  return file === undefined ? null : await reader.authorities(path, file)
}

/** In the file's order, so that findings come in that order, too. */
export async function inTurn<In, Out>(
  items: readonly In[],
  work: (item: In, index: number) => Promise<Out>,
): Promise<readonly Out[]> {
  const results: Out[] = []
  for (const [index, item] of items.entries()) results.push(await work(item, index))
  return results
}
