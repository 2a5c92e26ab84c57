// Goal: what was recorded is what happened: bytes as the client got them, files by their hashes, forwards by their ends.
// Method: the real clients through the whole gateway; the recording is read, verified and replayed as a reviewer would.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAgent } from '../clients/agent.ts'
import { openSshPlace, type SshPlace } from '../clients/ssh-place.ts'
import { all, bytesOf, endedSession, eventsOf } from '../clients/ssh-recorded.ts'
import { atTerminal } from '../protocols/ssh/at-terminal.ts'

const isRoot = process.getuid?.() === 0
const stack = new AsyncDisposableStack()
let place: SshPlace

beforeAll(async () => {
  if (isRoot) place = stack.use(await openSshPlace(['open', 'certified', 'typed']))
}, 60_000)
afterAll(() => stack.disposeAsync())

/** The recording of the last session, sealed. */
async function recorded(): Promise<string> {
  return (await endedSession(place.gateway)).file
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

function without<From extends object>(from: From, ...names: readonly (keyof From & string)[]): Partial<From> {
  return Object.fromEntries(
    Object.entries(from).filter(([name]) => !names.some((one) => one === name)),
  ) as Partial<From>
}

async function curfew(...words: readonly string[]): Promise<string> {
  return (await place.run([process.execPath, join(import.meta.dirname, '../../src/main.ts'), ...words])).stdout
}

describe.runIf(isRoot)('terminals (need root, as sshd does)', () => {
  test('a shell: everything it showed, its sizes, its end; replayed as a cast', async () => {
    const shown = place.here('shown')
    const command = `stty cols 90 rows 25; exec ${place.ssh('open', '-tt').join(' ')}`
    await using program = place.start(['script', '-qefc', command, shown], { env: { TERM: 'xterm' } })
    program.send(`PS1='ready''> ' exec bash --norc --noprofile --noediting -i`)
    await program.until(/^ready> $/m)
    program.send(`printf 'Gr\\303\\266\\303\\237e \\033[31mred\\033[0m\\r\\n'; seq 300; stty cols 120 rows 40`)
    await program.until(/\n300\r\nready> $/m)
    program.send('exit 4')
    expect((await program.exited()).status).toBe(4)

    const file = await recorded()
    const output = await bytesOf(file, '=o', 1)
    expect(await readFile(shown, 'utf8')).toContain(`${output.toString()}Connection to localhost closed.`)
    expect(output.toString()).toContain('Größe \u001B[31mred\u001B[0m')
    expect(await all(file, 'pty')).toEqual([{ ch: 1, term: 'xterm', cols: 90, rows: 25 }])
    expect(await all(file, 'run')).toEqual([{ ch: 1, what: 'shell' }])
    expect(await all(file, 'x')).toEqual([{ ch: 1, status: 4 }])
    expect(await all(file, 'end')).toEqual([expect.objectContaining({ ch: 1, bytesDown: output.length })])
    expect((await eventsOf(file)).filter(([code]) => code === '=i')).toEqual([])
    await expectCast(file, output)
  })

  async function expectCast(file: string, output: Buffer): Promise<void> {
    const cast = place.here('replayed.cast')
    await curfew('replay', file, '--format', 'cast', '-o', cast)
    const [header, ...events] = (await readFile(cast, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(header).toMatchObject({ version: 3, term: { cols: 90, rows: 25, type: 'xterm' } })
    const text = events.filter(([, code]) => code === 'o').map(([, , data]) => data as string)
    expect(text.join('')).toBe(output.toString())
    expect(events.at(-1)!.slice(1)).toEqual(['x', '4'])
    expect(events.every(([seconds]) => seconds >= 0)).toBe(true)
  }

  test('window changes', async () => {
    await using program = atTerminal(['sh', '-c', 'tty; exec "$@"', 'sh', ...place.ssh('certified', '-tt')])
    const [terminal] = await program.until(/\/dev\/pts\/\d+/)
    program.send(
      `exec bash -c 'trap changed=yes WINCH; echo beg""un; until read -t 0.1; do [ -z "$changed" ] || stty size; done'`,
    )
    await program.until(/begun\r\n/)
    for (const [cols, rows] of [
      [133, 44],
      [70, 20],
    ]) {
      await place.run(['stty', '-F', terminal, 'cols', String(cols), 'rows', String(rows)])
      await program.until(new RegExp(`${rows} ${cols}\\r\\n`))
    }
    program.send('')
    await program.exited()
    // stty changes one side after the other; the client may have looked in between.
    const sizes = await all(await recorded(), 'r')
    for (const size of [
      { cols: 133, rows: 44 },
      { cols: 70, rows: 20 },
    ])
      expect(sizes).toContainEqual({ ch: 1, ...size })
    expect(sizes.at(-1)).toMatchObject({ cols: 70, rows: 20 })
  })

  test.each([
    ['typed', true],
    ['open', false],
  ])('what is typed at a prompt without echo, in the role %s: recorded is %s', async (role, isRecorded) => {
    await using program = atTerminal(place.ssh(role, '-tt'))
    program.send(`exec bash --norc -c 'read -sp "Password: " word; echo; echo "of \${#word} characters"'`)
    await program.until(/^Password: $/m)
    program.send('correct horse')
    await program.until(/of 13 characters/)
    await program.exited()
    const file = await recorded()
    expect(/correct horse[\r\n]/.test((await bytesOf(file, '=i', 1)).toString())).toBe(isRecorded)
    const exported = place.here(`${role}.jsonl`)
    await curfew('replay', file, '--format', 'jsonl', '-o', exported)
    const everything = await Promise.all([exported, file].map((path) => readFile(path, 'latin1')))
    const base64 = Buffer.from('correct horse').toString('base64').slice(0, 16)
    if (!isRecorded) for (const text of everything) expect(text).not.toMatch(new RegExp(`correct horse|${base64}`))
  })
})

describe.runIf(isRoot)('commands (need root, as sshd does)', () => {
  test('output and errors apart, exactly, also when they are no text', async () => {
    const [out, err] = [await place.file('out', 300_000), await place.file('err', 70_000)]
    const env = ['-o', 'SetEnv=LC_ONE=first LC_TWO=2']
    const command = `cat ${out.path}; cat ${err.path} >&2; exit 5`
    const got = place.here('got')
    await place.run([...place.ssh('certified', ...env), command], { output: got, status: 5 })
    const file = await recorded()
    expect(sha256(await bytesOf(file, '=o', 1))).toBe(out.sha256)
    expect(sha256(await bytesOf(file, '=e', 1))).toBe(err.sha256)
    expect(sha256(await readFile(got))).toBe(out.sha256)
    expect(await all(file, 'run')).toEqual([{ ch: 1, what: 'exec', command }])
    expect(await all(file, 'env')).toEqual([
      { ch: 1, name: 'LC_ONE', value: 'first' },
      { ch: 1, name: 'LC_TWO', value: '2' },
    ])
    expect(await all(file, 'x')).toEqual([{ ch: 1, status: 5 }])
    expect(await all(file, 'end')).toEqual([expect.objectContaining({ ch: 1, bytesUp: 0, bytesDown: 370_000 })])
  })

  test('what goes up is told by its length and hash, and held only for a role that records it', async () => {
    const some = await place.file('up', 400_000)
    for (const role of ['open', 'typed']) {
      await place.run([...place.ssh(role), 'cat > /dev/null'], { input: some.path })
      const file = await recorded()
      const [end] = await all(file, 'end')
      expect(end).toMatchObject({ bytesUp: 400_000 })
      const input = await bytesOf(file, '=i', 1)
      if (role === 'open') expect([input.length, end!.sha256Up]).toEqual([0, some.sha256])
      else expect(sha256(input)).toBe(some.sha256)
    }
  })

  test('a signal that ends it', async () => {
    await place.run([...place.ssh('open'), 'kill -TERM $$'], { status: 255 })
    expect(await all(await recorded(), 'x')).toMatchObject([{ ch: 1, signal: 'TERM' }])
  })

  test('several at once over one connection, each on its own channel', async () => {
    const control = ['-S', place.here('control')]
    await using master = place.start([...place.ssh('open', '-M', ...control), 'echo master; cat'])
    await master.until(/master/)
    for (const word of ['one', 'two']) await place.run([...place.ssh('open', ...control), `echo ${word}`])
    master.endInput()
    await master.exited()
    const file = await recorded()
    const outputs = await Promise.all([1, 2, 3].map(async (ch) => (await bytesOf(file, '=o', ch)).toString()))
    expect(outputs).toEqual(['master\n', 'one\n', 'two\n'])
  })
})

describe.runIf(isRoot)('files (need root, as sshd does)', () => {
  const looks = new Set(['stat', 'realpath', 'extended', 'setstat'])
  const operations = async () =>
    (await all(await recorded(), 'f'))
      .filter(({ op }) => !looks.has(op))
      .map((operation) => without(operation, 'ms', 'ch'))

  test('sftp', async () => {
    const some = await place.file('some', 1_000_001)
    const [kept, batch] = [place.there('sftp'), place.here('batch')]
    const lines = [
      `put ${some.path} ${kept}`,
      `get ${kept} ${place.here('back')}`,
      `rename ${kept} ${kept}2`,
      `rm ${kept}2`,
    ]
    await writeFile(batch, `${lines.join('\n')}\n-rm ${kept}\n`)
    await place.run(['sftp', '-F', place.configFile, '-b', batch, 'certified@web-1@gw'])
    const { stdout } = await place.run(['sha256sum', some.path])
    const content = { bytes: 1_000_001, sha256: stdout.slice(0, 64), result: 'ok' }
    expect(await operations()).toEqual([
      { op: 'write', path: kept, direction: 'up', ...content },
      { op: 'read', path: kept, direction: 'down', ...content },
      { op: 'rename', path: kept, to: `${kept}2`, result: 'ok' },
      { op: 'remove', path: `${kept}2`, result: 'ok' },
      { op: 'remove', path: kept, result: 'no such file' },
    ])
    const [end] = await all(await recorded(), 'end')
    expect(end!.bytesUp).toBeGreaterThan(1_000_000)
    expect((await eventsOf(await recorded())).filter(([code]) => code.startsWith('='))).toEqual([])
  })

  test.each([
    ['SFTP', []],
    ['its old protocol', ['-O']],
  ])('scp over %s', async (_, options) => {
    const some = await place.file('some', 500_003)
    const kept = place.there(`scp${options.length}`)
    const scp = (...words: readonly string[]) => place.run(['scp', '-F', place.configFile, ...options, ...words])
    const content = { bytes: 500_003, sha256: some.sha256, result: 'ok' }
    await scp(some.path, `open@web-1@gw:${kept}`)
    expect(await operations()).toContainEqual(
      expect.objectContaining({ op: 'write', path: kept, direction: 'up', ...content }),
    )
    await scp(`open@web-1@gw:${kept}`, place.here('back'))
    expect(await operations()).toContainEqual(
      expect.objectContaining({ op: 'read', path: kept, direction: 'down', ...content }),
    )
  })
})

describe.runIf(isRoot)('forwarded connections (need root, as sshd does)', () => {
  test('to the target and from it: where to, and how much', async () => {
    await using peer = await startPeer()
    const few = await place.file('few', 5)
    const there = `127.0.0.1:${peer.port}`
    await using ssh = place.start(place.ssh('open', '-W', there))
    await ssh.until(/hello/)
    ssh.send('1234')
    ssh.endInput()
    await ssh.exited()
    const file = await recorded()
    expect(await all(file, 'ch')).toMatchObject([{ ch: 1, kind: 'forward-local', to: there }])
    expect(await all(file, 'end')).toMatchObject([{ ch: 1, bytesUp: 5, bytesDown: 6 }])

    await using back = place.start(place.ssh('certified', '-v', '-N', '-R', `127.0.0.1:0:${there}`))
    const [, port] = await back.until(/Allocated port (\d+)/)
    expect((await place.run(['socat', '-t10', '-', `TCP:127.0.0.1:${port}`], { input: few.path })).stdout).toBe(
      'hello\n',
    )
    back.kill('SIGINT')
    await back.exited()
    const other = await recorded()
    expect(await all(other, 'fw')).toEqual([{ address: `127.0.0.1:${port}`, action: 'listen', ok: true }])
    expect(await all(other, 'ch')).toMatchObject([{ kind: 'forward-remote', to: `127.0.0.1:${port}` }])
    expect(await all(other, 'end')).toMatchObject([{ bytesUp: 6, bytesDown: 5 }])
  })

  test('the agent: that it was used, not what passed', async () => {
    await using agent = await startAgent(place.here('agent'), place.gateway.sshd.userKeyFile)
    await place.run([...place.ssh('open', '-A'), 'ssh-add -l'], { env: agent.env })
    const file = await recorded()
    expect(await all(file, 'ch')).toMatchObject([{ kind: 'session' }, { kind: 'agent' }])
    const ends = await all(file, 'end')
    expect(ends.find(({ ch }) => ch === 2)).toMatchObject({ bytesUp: expect.any(Number) as number })
    expect((await bytesOf(file, '=o', 2)).length).toBe(0)
  })

  async function startPeer() {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).write('hello\n')
      socket.once('data', () => socket.end())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return { port, [Symbol.asyncDispose]: async () => void server.close() }
  }
})

describe.runIf(isRoot)('for reviewers (need root, as sshd does)', () => {
  test('every recording verifies, and is listed by replay', { timeout: 60_000 }, async () => {
    const some = await place.file('listed', 2048)
    await using master = place.start(
      [...place.ssh('open', '-tt', '-M', '-S', place.here('last')), 'echo master; cat'],
      {
        env: { TERM: 'xterm' },
      },
    )
    await master.until(/master/)
    const over = ['-o', `ControlPath=${place.here('last')}`]
    await place.run([
      'sftp',
      '-F',
      place.configFile,
      ...over,
      '-b',
      await batchOf(`put ${some.path} ${place.there('listed')}`),
      'open@web-1@gw',
    ])
    await place.run([...place.ssh('open', ...over), 'echo listed; exit 3'], { status: 3 })
    master.type('\u0004')
    await master.exited()
    const list = await curfew('replay', '--list', await recorded())
    expect(list).toMatch(/alice@shop\.example.*web-1/)
    expect(list).toContain(`SHA-256 ${some.sha256}`)
    for (const words of [
      /channel 1 {2}exec echo master; cat \(terminal xterm\)/,
      /write \S+listed, 2\.0 KiB up/,
      /exec echo listed; exit 3/,
      /exit status 3/,
    ])
      expect(list).toMatch(words)

    const files = (await place.gateway.gateway.state.sessions.sessions({ limit: 100 })).map(({ recording }) =>
      join(place.gateway.config.gateway.dataFolder, 'recordings', recording!),
    )
    expect(files.length).toBeGreaterThan(10)
    const verified = (await curfew('verify', '--json', ...files))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { verdict: string })
    expect(verified.map(({ verdict }) => verdict)).toEqual(files.map(() => 'sealed'))
  })

  async function batchOf(line: string): Promise<string> {
    const batch = place.here('batch')
    await writeFile(batch, `${line}\n`)
    return batch
  }
})
