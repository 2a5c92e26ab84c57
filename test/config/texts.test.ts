// Goal: a file that is no YAML that we take, or whose addresses nobody could connect to, is refused in words that help.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkConfig } from '../../src/config/load.ts'
import { environment, goodConfig, makeConfigFolder } from './example.ts'
import type { ConfigFolder } from './example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const withGateway = (line: string) => goodConfig.replace('gateway:', `gateway:\n  ${line}`)

test('a host name that clients are told is one', async () => {
  const expected = 'expected a host name or address, without scheme and port'
  for (const host of ['https://gw.example.com', 'gw.example.com:5432', 'gw -oProxyCommand=x', '']) {
    expect(await folder.problems(withGateway(`clientHost: ${JSON.stringify(host)}`))).toEqual([
      `curfew.yaml:2:15 gateway.clientHost: ${expected}, got ${JSON.stringify(host)}`,
    ])
  }
  for (const host of ['GW.example.com', 'gw_1', '2001:db8::1', '[2001:db8::1]', '192.0.2.1']) {
    await folder.check(withGateway(`clientHost: "${host}"`))
  }
  expect(await folder.problems(withGateway('clientRootCertificate: ""'))).toHaveLength(1)
})

test('the host of an SSH target has its port beside it', async () => {
  const ssh = (host: string) =>
    goodConfig.replace(
      'resources:\n',
      `resources:\n  web-1:\n    kind: ssh\n    host: "${host}"\n    hostKeys: { fingerprints: ['SHA256:${'A'.repeat(42)}E'] }\n    roles: { shell: { login: shop, allow: [shell] } }\n`,
    )
  expect(await folder.problems(ssh('web-1.internal:22'))).toEqual([
    'curfew.yaml:15:11 resources.web-1.host: expected a host name or address, without scheme and port, got "web-1.internal:22"',
  ])
  for (const host of ['web-1.internal', 'web_1', '2001:db8::1', 'fe80::1%eth0']) await folder.check(ssh(host))
})

test('a file that is empty, or more than one, says so', async () => {
  const [empty, ...more] = await folder.problems('# nothing yet\n')
  expect([empty, more]).toEqual([expect.stringMatching(/^curfew\.yaml:1:1: the file is empty .*production\.yaml/), []])
  expect(await folder.problems(`${goodConfig}---\na: b\n`)).toEqual([
    'curfew.yaml:38:1: a second document begins here, after "---" | One file holds one configuration.',
  ])
})

test('an alias without its anchor is shown where it stands; merge keys are explained', async () => {
  expect(await folder.problems(goodConfig.replace('labels: { env: staging }', 'labels: *staging'))).toEqual([
    'curfew.yaml:24:13: there is no anchor &staging before this alias',
  ])
  const merged = goodConfig
    .replace('labels: { env: production }', 'labels: &production { env: production }')
    .replace('labels: { env: staging }', 'labels: { <<: *production, env: staging }')
  expect(await folder.problems(merged)).toEqual([
    'curfew.yaml:24:15 resources.wiki.labels."<<": merge keys are not understood | Write out what is to stand here, or use the alias for a whole value: labels: *NAME',
  ])
  const roles = goodConfig.replace('wiki.internal', 'wiki.internal\n    <<: { sessions: 1 }\n    hots: x')
  expect(await folder.problems(roles)).toEqual([
    'curfew.yaml:24:5 resources.wiki."<<": merge keys are not understood | Write out what is to stand here, or use the alias for a whole value: wiki: *NAME',
    'curfew.yaml:25:5 resources.wiki.hots: there is no such key | Did you mean `host`?',
  ])
})

test('a file in another encoding is refused: names in it would be other names', async () => {
  const file = join(folder.folder, 'latin.yaml')
  await writeFile(file, Buffer.from(goodConfig.replace('groups: [engineering]', 'groups: [Zürich]'), 'latin1'))
  await expect(checkConfig(file, environment)).rejects.toThrow(
    `${file}:1:1: cannot read the configuration: it is not text in UTF-8`,
  )
  await writeFile(file, `\u{feff}${goodConfig}`)
  await checkConfig(file, environment)
})
