import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { issue, makeAuthority } from '../../scripts/certificates.ts'

const script = new URL('../../scripts/certificates.ts', import.meta.url).pathname

// Goal: strict verifiers accept what the command makes, for the names asked for and no others.
// Method: the command itself, then OpenSSL with its strict checks.
test('OpenSSL accepts what the command makes', { timeout: 20_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-certificates-'))
  try {
    execFileSync(process.execPath, [script, '--out', folder, '--names', 'localhost,127.0.0.1,::1'])
    expect((await readdir(folder)).toSorted()).toEqual(['ca.pem', 'server.key', 'server.pem'])
    expect((await stat(join(folder, 'server.key'))).mode & 0o077).toBe(0)
    for (const name of [
      ['-verify_hostname', 'localhost'],
      ['-verify_ip', '127.0.0.1'],
      ['-verify_ip', '::1'],
    ]) {
      expect(verify(folder, name)).toBe(true)
    }
    expect(verify(folder, ['-verify_hostname', 'example.com'])).toBe(false)
    expect(await readFile(join(folder, 'ca.pem'), 'utf8')).not.toContain('PRIVATE')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

// Goal: every way to write an address ends as the same bytes that others read.
// Method: random addresses, written short or with a dotted tail, against Node's own reading of the certificate.
test('addresses are written as others read them', { timeout: 20_000 }, async () => {
  const authority = await makeAuthority('Addresses')
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.ipV4(), fc.ipV6()), async (address) => {
      const { certificate } = await issue(authority, { names: [address] })
      expect(new X509Certificate(certificate).checkIP(address)).toBeDefined()
    }),
    { numRuns: 100 },
  )
})

function verify(folder: string, name: readonly string[]): boolean {
  const words = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', join(folder, 'ca.pem')]
  try {
    execFileSync('openssl', [...words, ...name, join(folder, 'server.pem')], { stdio: 'pipe' })
    return true
  } catch {
    return false // a refusal is an answer here
  }
}
