import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compiled } from '../clients/program.ts'
import { goodConfig, makeConfigFolder } from '../config/example.ts'
import type { ConfigFolder } from '../config/example.ts'
import { openSigningKey } from '../../src/recording/keys.ts'
import { httpHeader, httpSession } from '../recording/http-example.ts'
import { recordInMemory } from '../recording/support.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

let folder: ConfigFolder
let home: string
beforeAll(async () => {
  folder = await makeConfigFolder()
  home = mkdtempSync(join(tmpdir(), 'curfew-home-'))
  writeFileSync(join(folder.folder, 'good.yaml'), goodConfig)
  writeFileSync(
    join(folder.folder, 'bad.yaml'),
    goodConfig.replace('port: 8443', 'prt: 8443').replace('[shop], labels', '[shpo], labels'),
  )
  writeFileSync(join(folder.folder, 'not-a-recording'), 'x')
  writePolicies(folder.folder)
  const http = await recordInMemory(await openSigningKey(folder.folder), httpSession, { header: httpHeader })
  writeFileSync(join(folder.folder, 'grafana.curfew'), http)
})
afterAll(async () => {
  await folder[Symbol.asyncDispose]()
  rmSync(home, { recursive: true })
})

function writePolicies(at: string): void {
  const config = (name: string) => readFileSync(join(import.meta.dirname, '../../config', name), 'utf8')
  const policies = config('policies-team.yaml')
  const cases = config('policies-team.cases.yaml').split('  - name: and a contractor')[0]!
  writeFileSync(join(at, 'policies-team.yaml'), policies)
  writeFileSync(
    join(at, 'bad-condition.yaml'),
    policies.replace('request.minutes <= 60', 'request.reason.matches("(a+)+")'),
  )
  writeFileSync(join(at, 'team.cases.yaml'), cases)
  writeFileSync(join(at, 'wrong.cases.yaml'), cases.replace('for: 2h', 'for: 1h'))
  writeFileSync(
    join(at, 'bad-condition.cases.yaml'),
    cases.replace('policies: policies-team', 'policies: bad-condition'),
  )
}

/** What a person would see: command, both outputs, exit code where it is not 0. */
function transcript(...commands: readonly string[]): string {
  return commands
    .map((command) => {
      const env = {
        PATH: process.env['PATH'],
        XDG_CONFIG_HOME: home,
        OIDC_SECRET: 's',
        SHOP_PASSWORD: 's',
        COLUMNS: '100',
        ...compiled,
      }
      const words = command.split(' ').slice(1)
      const { stdout, stderr, status } = spawnSync(process.execPath, [main, ...words], {
        cwd: folder.folder,
        env,
        encoding: 'utf8',
      })
      const exit = status === 0 ? '' : `(exit code ${status})\n`
      return `$ ${command}\n${stdout}${stderr}${exit}`.replaceAll(`${folder.folder}/`, '')
    })
    .join('\n')
}

// The file snapshots beside this test are the transcripts; `vitest -u` writes them anew.
test.each([
  [
    'help',
    [
      'curfew --help',
      'curfew serve --help',
      'curfew login --help',
      'curfew request --help',
      'curfew requests --help',
      'curfew approve --help',
      'curfew deny --help',
      'curfew statements --help',
      'curfew statement --help',
      'curfew extend --help',
      'curfew end --help',
      'curfew revoke --help',
      'curfew lock --help',
      'curfew locks --help',
      'curfew unlock --help',
      'curfew psql --help',
      'curfew connect --help',
      'curfew env --help',
      'curfew ssh --help',
      'curfew ssh-config --help',
      'curfew ssh-ca --help',
      'curfew sessions --help',
      'curfew sessions end --help',
      'curfew token --help',
      'curfew notify --help',
      'curfew notify test --help',
      'curfew evidence --help',
      'curfew verify --help',
      'curfew audit verify --help',
      'curfew config check --help',
      'curfew completion --help',
    ],
  ],
  [
    'mistakes',
    [
      'curfew',
      'curfew serv',
      'curfew serve',
      'curfew serve --confg x',
      'curfew login --gateway gw.example.com',
      'curfew login',
      'curfew login --renew --gateway https://gw.example.com',
      'curfew login --renew',
      'curfew request',
      'curfew request prod-db --for long',
      'curfew approve grant-1',
      'curfew statement request-1',
      'curfew lock --resource prod-db',
      'curfew lock --reason drill',
      'curfew unlock',
      'curfew ssh',
      'curfew ssh web-1 -l root',
      'curfew ssh web-1 shell uptime',
      'curfew ssh -v web-1 --prnt',
      'curfew ssh-config --writ',
      'curfew ssh-ca',
      'curfew ssh-ca --data .',
      'curfew token create --for soon',
      'curfew token lst',
      'curfew sessions ed session-1',
      'curfew token create --scope everything',
      'curfew evidence lock-1',
      'curfew audit tail --lines many',
      'curfew completion tcsh',
      'curfew serve --config nowhere.yaml',
      'curfew serve --config bad.yaml',
      'curfew whoami',
      'curfew token',
      'curfew audit verify nowhere.jsonl',
      'curfew audit verify bad.yaml',
      'curfew verify not-a-recording . gone.curfew',
    ],
  ],
  [
    'replay',
    [
      'curfew replay --help',
      'curfew replay grafana.curfew --key keys/public.jwks',
      'curfew replay grafana.curfew --key keys/public.jwks --from 2 --to 5 --json',
      'curfew replay grafana.curfew --key keys/public.jwks --format cast',
      'curfew replay grafana.curfew --key keys/public.jwks -o session.har',
    ],
  ],
  [
    'policy',
    [
      'curfew policy --help',
      'curfew policy test --help',
      'curfew policy explain --help',
      'curfew policy test team.cases.yaml',
      'curfew policy test wrong.cases.yaml',
      'curfew policy test wrong.cases.yaml --json',
      'curfew policy test gone.yaml',
      'curfew policy test bad-condition.cases.yaml',
      'curfew policy explain policies-team.yaml shop-db readonly --group shop-team --at 2026-11-23T20:30[Europe/Berlin] --from 203.0.113.9',
      'curfew policy explain policies-team.yaml shop-db readonly --email kim@example.com --group support --claim employment=employee --for 30m --json',
      'curfew policy explain policies-team.yaml shop readonly',
      'curfew policy explain policies-team.yaml shop-db root',
      'curfew policy explain policies-team.yaml shop-db readonly --at noon',
      'curfew policy explain policies-team.yaml shop-db readonly --claim employee',
    ],
  ],
  ['config', ['curfew config check good.yaml', 'curfew config check bad.yaml', 'curfew config check bad.yaml --json']],
])('%s', { timeout: 120_000 }, async (name, commands) => {
  await expect(transcript(...commands)).toMatchFileSnapshot(`${name}.txt`)
})

test.each(['bash', 'zsh', 'fish'])('the completion script for %s is one that it can read', (shell) => {
  const script = transcript(`curfew completion ${shell}`).split('\n').slice(1).join('\n')
  expect(script).toContain('revoke')
  expect(script).not.toMatch(/undefined|\bnull\b/)
  if (shell === 'bash') expect(spawnSync('bash', ['-n'], { input: script }).status).toBe(0)
})

test('bash completes commands below commands', () => {
  const script = transcript('curfew completion bash').split('\n').slice(1).join('\n')
  const complete = (line: string) =>
    spawnSync(
      'bash',
      [
        '-c',
        `${script}\nCOMP_WORDS=(${line} ''); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _curfew; echo "\${COMPREPLY[*]}"`,
      ],
      { encoding: 'utf8' },
    )
      .stdout.trim()
      .split(' ')
  expect(complete('curfew')).toEqual(expect.arrayContaining(['serve', 'login', 'token', '--version']))
  expect(complete('curfew token')).toEqual(expect.arrayContaining(['create', 'list', 'revoke']))
  expect(complete('curfew token create')).toEqual(expect.arrayContaining(['--label', '--for', '--json']))
})
