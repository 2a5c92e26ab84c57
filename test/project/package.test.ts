import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Program } from '../clients/program.ts'
import { environment, goodConfig, makeConfigFolder } from '../config/example.ts'

const root = join(import.meta.dirname, '../..')
let folder: string
let program: string

// Goal: what `npm pack` makes runs by itself. Method: unpack it, and give it nothing but its production dependencies.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-package-'))
  const output = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  execFileSync('tar', ['-xzf', join(folder, output.trim().split('\n').at(-1)!), '-C', folder])
  const { dependencies, bin } = JSON.parse(readFileSync(join(folder, 'package/package.json'), 'utf8')) as {
    dependencies: Record<string, string>
    bin: { curfew: string }
  }
  for (const name of Object.keys(dependencies)) {
    const link = join(folder, 'package/node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), link)
  }
  program = join(folder, 'package', bin.curfew)
})
afterAll(() => rmSync(folder, { recursive: true }))

test('its curfew runs as a program of its own', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  expect(execFileSync(program, ['--version'], { encoding: 'utf8' })).toBe(`${version}\n`)
})

test('it holds what it needs and no source, test or key', () => {
  const names = readdirSync(join(folder, 'package'), { recursive: true, encoding: 'utf8' })
  const own = names.filter((name) => !name.startsWith('node_modules'))
  expect(own).toEqual(
    expect.arrayContaining([
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'CHANGELOG.md',
      'config/curfew.yaml',
      'config/production.yaml',
    ]),
  )
  expect(own.filter((name) => /(?<!\.d)\.ts$|^test|\.(key|pem|jwk)$/.test(name))).toEqual([])
})

test('it serves: threads, migrations and pages are where it looks for them', async () => {
  await using config = await makeConfigFolder()
  const ports = goodConfig.replace('port: 8443', 'port: 0').replace('port: 6432', 'port: 0')
  const text = ports
    .replace('identity:', '  ops: { port: 0 }\nidentity:')
    .replace('https://login.example.com', 'http://127.0.0.1:9')
  await config.check(text)
  await using gateway = new Program(program, ['serve', '--config', join(config.folder, 'curfew.yaml')], {
    env: environment,
  })
  const [line] = await gateway.until(/^\{.*"message":"gateway started".*\}$/m)
  const { ops } = JSON.parse(line) as { ops: number }
  expect(await (await fetch(`http://127.0.0.1:${ops}/readyz`)).json()).toEqual({ ok: true, problems: [] })
  gateway.kill('SIGTERM')
  expect(await gateway.exited()).toMatchObject({ status: 0, stderr: '' })
})
