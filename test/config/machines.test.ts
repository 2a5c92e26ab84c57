// Goal: what says which machine is which is read whole, and what would let a stranger or a person in is refused at load.
// Method: real files through the real loader; one thing is spoilt at a time.
import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { goodConfig, makeConfigFolder, type ConfigFolder } from './example.ts'

const machines = `staff: { operators: [operations] }
machineIssuers:
  ci: { issuer: https://ci.example.com, audience: https://gw.example.com }
  cluster: { issuer: https://kubernetes.default.svc, audience: curfew, jwksFile: cluster.json, algorithms: [RS256] }
machines:
  ci-deploy:
    issuer: ci
    claims: { repository: org/shop, ref: [refs/heads/main, 'refs/tags/v*'] }
    groups: [deployers]
    for: 10m
    askedForBy: { groups: [release-managers] }
  cluster-backup:
    issuer: cluster
    claims: { sub: 'system:serviceaccount:backup:backup' }
`

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keys = (key: typeof publicKey) => JSON.stringify({ keys: [{ ...key.export({ format: 'jwk' }), kid: 'one' }] })
  await writeFile(join(folder.folder, 'cluster.json'), keys(publicKey))
  await writeFile(join(folder.folder, 'private.json'), keys(privateKey))
  await writeFile(join(folder.folder, 'secret.json'), JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }))
})
afterAll(() => folder[Symbol.asyncDispose]())

test('issuers and machines are read, with lengths, lists and keys', async () => {
  const { config, notices } = await folder.check(goodConfig + machines)
  expect(notices).toEqual([])
  expect(config.machines?.issuers).toMatchObject([
    { name: 'ci', issuer: 'https://ci.example.com', audience: 'https://gw.example.com', keys: null, ca: null },
    { name: 'cluster', algorithms: ['RS256'], keys: { keys: [{ kty: 'RSA', kid: 'one' }] } },
  ])
  expect(config.machines?.machines).toMatchObject([
    {
      ...{ name: 'ci-deploy', issuer: { name: 'ci' }, groups: ['deployers'], tokenMs: 600_000 },
      claims: { repository: ['org/shop'], ref: ['refs/heads/main', 'refs/tags/v*'] },
      askedForBy: ['release-managers'],
    },
    { name: 'cluster-backup', tokenMs: 900_000, groups: [], askedForBy: [] },
  ])
  expect((await folder.check(goodConfig)).config.machines).toEqual({ issuers: [], machines: [] })
})

test.each([
  ['issuer: ci\n', 'issuer: cy\n', 'there is no issuer "cy" in `machineIssuers` | Did you mean "ci"?'],
  ["claims: { sub: 'system:serviceaccount:backup:backup' }", 'claims: {}', 'expected at least one claim'],
  ["claims: { sub: 'system:serviceaccount:backup:backup' }", 'claims: { sub: "*" }', 'every token of the issuer is'],
  ['groups: [deployers]', 'groups: [operations]', '"operations" is in staff.operators | Machines have no duties'],
  ['for: 10m', 'for: 2h', 'expected a length of time above 0, and at most 1h'],
  ['for: 10m', 'for: 0s', 'expected a length of time above 0, and at most 1h'],
  ['algorithms: [RS256]', 'algorithms: [HS256]', 'machineIssuers.cluster.algorithms[0]'],
  ['algorithms: [RS256]', 'algorithms: [none]', 'machineIssuers.cluster.algorithms[0]'],
  ['jwksFile: cluster.json', 'jwksFile: private.json', 'expected a JWK Set of public keys'],
  ['jwksFile: cluster.json', 'jwksFile: secret.json', 'expected a JWK Set of public keys'],
  ['jwksFile: cluster.json', 'jwksFile: gw.pem', 'expected a JWK Set of public keys'],
  ['jwksFile: cluster.json', 'jwksFile: absent.json', 'there is no such file'],
  [
    'jwksFile: cluster.json',
    'jwksFile: cluster.json, jwksUri: https://k.example.com',
    '`jwksFile` says where the keys',
  ],
  ['issuer: https://ci.example.com', 'issuer: http://ci.example.com', 'got http:// for ci.example.com'],
  ['jwksFile: cluster.json', 'jwksUri: http://keys.example.com', 'got http:// for keys.example.com'],
  ['issuer: https://kubernetes.default.svc', 'issuer: https://ci.example.com', 'machineIssuers.ci is the same issuer'],
  [
    'issuer: https://ci.example.com, audience: https://gw.example.com',
    'issuer: https://login.example.com, audience: curfew',
    'people sign in with tokens for this audience',
  ],
])('%s written as %s is refused', async (right, wrong, problem) => {
  expect(machines).toContain(right)
  const problems = await folder.problems(goodConfig + machines.replace(right, wrong))
  expect(problems).toEqual([expect.stringContaining(problem)])
})

test('tokens that people bring to psql make nobody a machine', async () => {
  const oauth = 'clientId: curfew\n  oauth: { clientId: psql, audience: https://gw.example.com }'
  const sameIssuer = machines.replace('issuer: https://ci.example.com', 'issuer: https://login.example.com')
  const problems = await folder.problems(goodConfig.replace('clientId: curfew', oauth) + sameIssuer)
  expect(problems).toEqual([expect.stringContaining('people sign in with tokens for this audience')])
  expect(await folder.problems(goodConfig + sameIssuer)).toEqual([])
})
