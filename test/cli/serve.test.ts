import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Program } from '../clients/program.ts'
import { Terminal } from '../clients/terminal.ts'
import { environment, goodConfig, makeConfigFolder } from '../config/example.ts'
import type { ConfigFolder } from '../config/example.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

let folder: ConfigFolder
beforeEach(async () => {
  folder = await makeConfigFolder()
})
afterEach(() => folder[Symbol.asyncDispose]())

/** On free ports, with a provider that does not answer: that must not keep the gateway from starting. */
const config = goodConfig
  .replace('port: 8443', 'port: 0')
  .replace('port: 6432', 'port: 0')
  .replace('identity:', '  ops: { port: 0 }\nidentity:')
  .replace('https://login.example.com', 'http://127.0.0.1:9')

async function serve(text: string): Promise<Program> {
  const file = join(folder.folder, 'curfew.yaml')
  await writeFile(file, text)
  return new Program(process.execPath, [main, 'serve', '--config', file], { env: environment })
}

interface Started {
  readonly web: number
  readonly postgres: readonly number[]
  readonly ops: number
}

async function started(program: Program): Promise<Started> {
  const [line] = await program.until(/^\{.*"message":"gateway started".*\}$/m)
  return JSON.parse(line) as Started
}

test('it starts, answers, and ends with 0 on SIGTERM', async () => {
  await using program = await serve(config)
  const { ops } = await started(program)
  expect((await fetch(`http://127.0.0.1:${ops}/healthz`)).status).toBe(200)
  expect((await fetch(`http://127.0.0.1:${ops}/metrics`)).status).toBe(200)
  program.kill('SIGTERM')
  expect(await program.exited()).toMatchObject({ status: 0, signal: null, stderr: '' })
  for (const line of program.stdout.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('message')
  expect(program.stdout).not.toContain('hunter2')
})

test('a second gateway on the same data folder is refused, and harms nothing', async () => {
  await using first = await serve(config)
  await started(first)
  await using second = await serve(config)
  const { status, stderr } = await second.exited()
  expect([status, stderr]).toEqual([1, expect.stringContaining('Another gateway runs on ')])
  first.kill('SIGKILL')
  await first.exited()
  await using third = await serve(config)
  await started(third)
})

test('what is worth knowing about the configuration is in the log', async () => {
  await using program = await serve(config.replace('databases: [wiki]', 'databases: [wiki], recording: off'))
  await program.until(/"path":"resources\.wiki\.roles\.readonly\.recording".*leave no recording/)
  program.kill('SIGINT')
  expect(await program.exited()).toMatchObject({ status: 0 })
})

test('SIGHUP takes over what a changed file says, or says why not', async () => {
  await using program = await serve(config)
  const { ops } = await started(program)
  const change = async (from: string, to: string) => {
    await writeFile(join(folder.folder, 'curfew.yaml'), config.replace(from, to))
    program.kill('SIGHUP')
  }
  await change('port: 0', 'prt: 0')
  await program.until(/"level":"error".*"message":"the configuration file has problems; this gateway goes on with /)
  expect(program.stdout).toContain('listen.web.prt: there is no such key')
  await change('clientId: curfew', 'clientId: other')
  await program.until(/"places":\["identity.oidc.clientId"\],"message":"nothing of the changed file was taken over/)
  await change('- name: read\n', '- name: look\n')
  const [line] = await program.until(/^\{.*"message":"the changed configuration holds from now on".*\}$/m)
  expect(JSON.parse(line)).toMatchObject({
    ...{ level: 'info', rules: { added: ['look'], removed: ['read'], changed: [] } },
    resources: { added: [], removed: [] },
  })
  const metrics = await (await fetch(`http://127.0.0.1:${ops}/metrics`)).text()
  expect(metrics).toContain('curfew_reloads_total{outcome="taken"} 1')
  expect(metrics).toContain('curfew_reloads_total{outcome="needs-restart"} 1')
  program.kill('SIGTERM')
  expect(await program.exited()).toMatchObject({ status: 0, signal: null, stderr: '' })
  expect(program.stdout).not.toContain('hunter2')
})

test('a terminal that is closed stops it in order', async () => {
  const log = join(folder.folder, 'log')
  await writeFile(join(folder.folder, 'curfew.yaml'), config)
  const terminal = await Terminal.open(folder.folder, { env: environment })
  await terminal.type(`exec '${process.execPath}' '${main}' serve --config curfew.yaml > log 2>&1`)
  const logged = (text: string) =>
    vi.waitFor(async () => expect(await readFile(log, 'utf8')).toContain(text), { timeout: 15_000, interval: 50 })
  await logged('"message":"gateway started"')
  await terminal[Symbol.asyncDispose]()
  await logged('"message":"stopping"')
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('a port that is in use is explained, without a stack trace', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  await using program = await serve(config.replace('ops: { port: 0 }', `ops: { port: ${port} }`))
  const { status, stderr } = await program.exited()
  other.close()
  expect([status, stderr]).toEqual([
    1,
    expect.stringContaining(`curfew: 127.0.0.1:${port} is in use by another program\n`),
  ])
  expect(stderr).not.toContain('at ')
})

test('an address that this machine does not have is explained', async () => {
  await using program = await serve(config.replace('ops: { port: 0 }', 'ops: { address: 192.0.2.1, port: 0 }'))
  const { status, stderr } = await program.exited()
  expect([status, stderr]).toEqual([1, expect.stringContaining('this machine has no address 192.0.2.1')])
})

test('a data folder that cannot be made is explained', async () => {
  await writeFile(join(folder.folder, 'file'), '')
  await using program = await serve(config.replace('gateway:', 'gateway:\n  data: file/data'))
  const { status, stderr } = await program.exited()
  expect(status).toBe(1)
  expect(stderr).toMatch(/^curfew: .*file\/data.*\n {2}\S/)
})

test('a log that cannot be written (a full disk) holds nothing up, not even the stop', async () => {
  const ops = await freePort()
  await writeFile(join(folder.folder, 'curfew.yaml'), config.replace('ops: { port: 0 }', `ops: { port: ${ops} }`))
  const command = `exec '${process.execPath}' '${main}' serve --config curfew.yaml > /dev/full`
  await using program = new Program('sh', ['-c', command], { env: environment, cwd: folder.folder })
  const alive = () =>
    fetch(`http://127.0.0.1:${ops}/healthz`).then(
      ({ status }) => status,
      () => null,
    )
  await vi.waitFor(async () => expect(await alive()).toBe(200), { timeout: 15_000, interval: 100 })
  program.kill('SIGTERM')
  expect(await program.exited()).toMatchObject({ status: 0, signal: null, stderr: '' })
})

test('a result that cannot be written is a failure in words', async () => {
  await writeFile(join(folder.folder, 'curfew.yaml'), config)
  const command = `exec '${process.execPath}' '${main}' config check curfew.yaml > /dev/full`
  await using program = new Program('sh', ['-c', command], { env: environment, cwd: folder.folder })
  const { status, stderr } = await program.exited()
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^curfew: the output could not be written: ENOSPC.*\n$/)])
})

test('whoever closes standard error changes nothing else', async () => {
  const command = `('${process.execPath}' '${main}' config check nowhere.yaml; echo "status $?") 2> /dev/full`
  await using program = new Program('sh', ['-c', command])
  expect((await program.exited()).stdout).toBe('status 2\n')
})
