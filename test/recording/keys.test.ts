import { chmod, readFile, rename, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { calculateJwkThumbprint, compactVerify, importJWK, type JSONWebKeySet } from 'jose'
import { expect, test } from 'vitest'
import { openSigningKey } from '../../src/recording/keys.ts'
import { temporaryFolder } from './support.ts'

test('the key is made once, privately, and is the same afterwards', async () => {
  await using folder = await temporaryFolder()
  const key = await openSigningKey(folder.path)
  const file = path.join(folder.path, 'keys', 'signing.jwk')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700)
  expect((await openSigningKey(folder.path)).kid).toBe(key.kid)
  const [published] = key.publicKeys().keys
  expect(published).toMatchObject({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: key.kid })
  expect(published).not.toHaveProperty('d')
  expect(key.kid).toBe(await calculateJwkThumbprint(published!))
})

test('many processes that start at once agree on one key', async () => {
  await using folder = await temporaryFolder()
  const keys = await Promise.all(Array.from({ length: 20 }, () => openSigningKey(folder.path)))
  expect(new Set(keys.map(({ kid }) => kid)).size).toBe(1)
})

test('a signature verifies with the published key', async () => {
  await using folder = await temporaryFolder()
  const key = await openSigningKey(folder.path)
  const jws = await key.sign('some-kind', { a: 1 })
  const { payload, protectedHeader } = await compactVerify(jws, await importJWK(key.publicKeys().keys[0]!, 'EdDSA'))
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual({ a: 1 })
  expect(protectedHeader).toMatchObject({ alg: 'EdDSA', kid: key.kid, typ: 'some-kind' })
})

test('after a rotation the old public key stays published', async () => {
  await using folder = await temporaryFolder()
  const old = await openSigningKey(folder.path)
  const file = path.join(folder.path, 'keys', 'signing.jwk')
  await rename(file, `${file}.old`)
  const fresh = await openSigningKey(folder.path)
  expect(fresh.kid).not.toBe(old.kid)
  expect(fresh.publicKeys().keys.map(({ kid }) => kid)).toEqual([fresh.kid, old.kid])
  const onDisk = await readFile(path.join(folder.path, 'keys', 'public.jwks'), 'utf8')
  expect((JSON.parse(onDisk) as JSONWebKeySet).keys).toHaveLength(2)
})

test('a key that everybody can read, or that is none, is refused without being quoted', async () => {
  await using folder = await temporaryFolder()
  await openSigningKey(folder.path)
  const file = path.join(folder.path, 'keys', 'signing.jwk')
  await chmod(file, 0o644)
  await expect(openSigningKey(folder.path)).rejects.toMatchObject({ code: 'CONFIG_INVALID', hint: `chmod 600 ${file}` })
  await chmod(file, 0o600)
  await writeFile(file, '{"kty":"OKP","d":"sesame"')
  const refused = await openSigningKey(folder.path).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'CONFIG_INVALID' })
  expect(JSON.stringify(refused, Object.getOwnPropertyNames(refused))).not.toContain('sesame')
})
