// Goal: what people run with OpenSSH straight, they run through the gateway unchanged: commands, terminals, many at once.
// Method: the real ssh and sshd with the whole gateway between them, by the gateway's key and by certificates.
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { atTerminal } from '../protocols/ssh/at-terminal.ts'
import { sha256Of } from '../clients/file-hash.ts'
import { keepaliveIn } from '../clients/keepalive-timer.ts'
import { openSshPlace, type SshPlace } from '../clients/ssh-place.ts'
import type { ConfigInput } from '../servers/gateway.ts'

const isRoot = process.getuid?.() === 0
const stack = new AsyncDisposableStack()
let place: SshPlace

beforeAll(async () => {
  if (!isRoot) return
  place = stack.use(await openSshPlace(['open', 'certified'], { configure: askSeldom }))
}, 60_000)
afterAll(() => stack.disposeAsync())

function askSeldom(config: ConfigInput): void {
  config.listen.ssh = config.listen.ssh!.map((one) => ({ ...one, keepalives: { idle: '30m' } }))
  const target = config.resources['web-1']!
  if (target.kind === 'ssh') target.keepalives = { idle: '10m' }
}

describe.runIf(isRoot)('commands (need root, as sshd does)', () => {
  test.each(['open', 'certified'])('run, by the role %s', async (role) => {
    expect(await place.run([...place.ssh(role), 'echo hi'])).toMatchObject({ stdout: 'hi\n', stderr: '' })
  })

  test.each([0, 1, 5, 42, 255])('end with status %i', async (status) => {
    await place.run([...place.ssh('open'), `exit ${status}`], { status })
  })

  test('die by a signal', async () => {
    await place.run([...place.ssh('certified'), 'kill -TERM $$'], { status: 255 })
  })

  test('write output and errors apart', async () => {
    const ran = await place.run([...place.ssh('open'), 'echo out; echo err >&2'])
    expect(ran).toMatchObject({ stdout: 'out\n', stderr: 'err\n' })
  })

  test('take and give 20 MB each way', { timeout: 60_000 }, async () => {
    const big = await place.file('big', 20_000_000)
    const [kept, back] = [place.there('big'), place.here('big.back')]
    await place.run([...place.ssh('certified'), `cat > ${kept}`], { input: big.path })
    expect(await sha256Of(kept)).toBe(big.sha256)
    await place.run([...place.ssh('open'), `cat ${kept}`], { output: back })
    expect(await sha256Of(back)).toBe(big.sha256)
  })

  test('echo 5 MB while they are still being sent', { timeout: 60_000 }, async () => {
    const some = await place.file('some', 5_000_000)
    await place.run([...place.ssh('open'), 'cat'], { input: some.path, output: place.here('some.back') })
    expect(await sha256Of(place.here('some.back'))).toBe(some.sha256)
  })

  test('go on after the end of what is typed', async () => {
    const some = await place.file('half', 1)
    const command = 'cat > /dev/null; sleep 0.5; echo after-eof'
    expect(await place.run([...place.ssh('open'), command], { input: some.path })).toMatchObject({
      stdout: 'after-eof\n',
    })
  })

  test('get nothing with -n', async () => {
    expect(await place.run([...place.ssh('certified', '-n'), 'cat; echo done'])).toMatchObject({ stdout: 'done\n' })
  })

  test('get the environment that is sent', async () => {
    const ran = await place.run([...place.ssh('certified', '-o', 'SetEnv=LC_ONE=abc'), 'echo $LC_ONE'])
    expect(ran.stdout).toBe('abc\n')
  })

  test('a subsystem that is not there is refused by the target', async () => {
    const ran = await place.run([...place.ssh('open', '-s'), 'no-such-thing'], { status: null })
    expect([ran.status, ran.stderr]).toEqual([255, expect.stringContaining('subsystem request failed')])
  })
})

describe.runIf(isRoot)('terminals and shells (need root, as sshd does)', () => {
  /** A shell with a known prompt, in a terminal of 100 by 30. */
  async function shell(role: string) {
    const program = atTerminal(place.ssh(role, '-tt'))
    program.send(`PS1='ready''> ' exec bash --norc --noprofile --noediting -i`)
    await program.until(/^ready> $/m)
    return program
  }

  test('a command gets a terminal, of the right size and kind', async () => {
    await using program = atTerminal([...place.ssh('certified', '-t'), 'stty size; tty; echo "kind $TERM"'])
    const { stdout, status } = await program.exited()
    expect(stdout).toMatch(/30 100\r\n\/dev\/pts\/\d+\r\nkind xterm\r\n/)
    expect(status).toBe(0)
  })

  test('a shell: Ctrl-C, status, Ctrl-D', async () => {
    await using program = await shell('open')
    // What says it is what Ctrl-C is to end: bash itself misses a Ctrl-C between two commands.
    program.send(`sh -c 'echo beg""un; exec sleep 100'`)
    await program.until(/begun\r\n/)
    program.type('\u0003')
    await program.until(/\^C\r?\nready> $/m)
    program.send('echo "status $?"; (exit 3)')
    await program.until(/status 130\r\n/)
    program.type('\u0004')
    expect((await program.exited()).status).toBe(3)
  })

  test('the terminal is resized', async () => {
    await using program = atTerminal(['sh', '-c', 'tty; exec "$@"', 'sh', ...place.ssh('certified', '-tt')])
    const [terminal] = await program.until(/\/dev\/pts\/\d+/)
    program.send(
      `exec bash -c 'trap changed=yes WINCH; echo beg""un; until read -t 0.1; do [ -z "$changed" ] || stty size; done'`,
    )
    await program.until(/begun\r\n/)
    await place.run(['stty', '-F', terminal, 'rows', '44', 'cols', '133'])
    await program.until(/\n44 133\r\n/)
    program.send('')
    expect((await program.exited()).status).toBe(0)
  })

  test('a shell without a terminal reads its script', async () => {
    await using program = place.start(place.ssh('open'))
    program.send('echo in-shell; exit 7')
    expect(await program.exited()).toMatchObject({ status: 7, stdout: expect.stringContaining('in-shell\n') as string })
  })

  test('an escape character closes a connection', async () => {
    await using program = await shell('certified')
    program.send('sleep 100')
    await program.until(/ready> sleep 100\r\n/)
    program.type('\r~.')
    await program.until(/Connection to localhost closed/)
    await program.exited()
  })
})

describe.runIf(isRoot)('connections (need root, as sshd does)', () => {
  test('ControlMaster: one session, twenty commands at once', { timeout: 60_000 }, async () => {
    const control = ['-S', place.here('control')]
    await using master = place.start(place.ssh('open', '-M', '-N', ...control))
    await expect
      .poll(
        () =>
          place.run([...place.ssh('open', ...control, '-O', 'check')], { status: null }).then(({ status }) => status),
        { timeout: 10_000 },
      )
      .toBe(0)
    const before = await live()
    const command = (index: number) => `sleep 0.5; echo m${index}`
    const ran = await Promise.all(twenty((index) => place.run([...place.ssh('open', ...control), command(index)])))
    expect(ran.map(({ stdout }) => stdout)).toEqual(twenty((index) => `m${index}\n`))
    expect(await live()).toBe(before)
    await place.run(place.ssh('open', ...control, '-O', 'exit'))
    await master.exited()
  })

  test('twenty connections at once', { timeout: 60_000 }, async () => {
    const role = (index: number) => (index % 2 === 0 ? 'open' : 'certified')
    const ran = await Promise.all(twenty((index) => place.run([...place.ssh(role(index)), `echo p${index}`])))
    expect(ran.map(({ stdout }) => stdout)).toEqual(twenty((index) => `p${index}\n`))
  })

  test('new keys each megabyte', { timeout: 60_000 }, async () => {
    const some = await place.file('rekeyed', 20_000_000)
    const options = ['-v', '-o', 'RekeyLimit=1M']
    const up = await place.run([...place.ssh('certified', ...options), 'sha256sum'], { input: some.path })
    expect(up.stdout).toContain(some.sha256)
    expect(up.stderr.match(/SSH2_MSG_NEWKEYS received/g)!.length).toBeGreaterThan(5)
    const down = place.here('rekeyed.back')
    await place.run([...place.ssh('open', ...options), `cat ${some.path}`], { output: down })
    expect(await readFile(down)).toEqual(await readFile(some.path))
  })

  test('keepalives are answered', async () => {
    const options = ['ServerAliveInterval=1', 'ServerAliveCountMax=1'].flatMap((option) => ['-o', option])
    expect((await place.run([...place.ssh('open', ...options), 'sleep 3.5; echo on'])).stdout).toBe('on\n')
  })

  test('who says nothing is asked as the settings say, at both ends', async () => {
    await using quiet = place.start([...place.ssh('open'), 'echo "at $SSH_CONNECTION"; read line'])
    const [, gatewayPort = '', targetPort = ''] = await quiet.until(/at \S+ (\d+) \S+ (\d+)/)
    expect(await keepaliveIn(Number(gatewayPort), Number(targetPort))).toBe(10)
    const [newest] = await place.gateway.gateway.state.sessions.sessions({ live: true, limit: 1 })
    expect(await keepaliveIn(place.gateway.sshPort, newest!.session.client.port)).toBe(30)
  })

  async function live(): Promise<number> {
    return (await place.gateway.gateway.state.sessions.sessions({ live: true, limit: 100 })).length
  }

  function twenty<Each>(make: (index: number) => Each): Each[] {
    return Array.from({ length: 20 }, (_, index) => make(index))
  }
})

test.runIf(isRoot)('no password is asked for (needs root, as sshd does)', async () => {
  const options = ['PubkeyAuthentication=no', 'BatchMode=no', 'PreferredAuthentications=password'].flatMap((one) => [
    '-o',
    one,
  ])
  const ran = await place.run([...place.ssh('open', ...options), 'true'], { status: 255 })
  expect(ran.stderr).toContain('Permission denied (publickey,keyboard-interactive)')
})

describe.runIf(isRoot)('algorithms (need root, as sshd does)', () => {
  const offered = {
    Ciphers: [
      'aes128-gcm@openssh.com',
      'aes256-gcm@openssh.com',
      'chacha20-poly1305@openssh.com',
      'aes128-ctr',
      'aes192-ctr',
      'aes256-ctr',
    ],
    MACs: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
    KexAlgorithms: [
      'curve25519-sha256',
      'diffie-hellman-group16-sha512',
      'diffie-hellman-group14-sha256',
      'diffie-hellman-group-exchange-sha256',
    ],
  } as const
  const refused = {
    Ciphers: ['aes128-cbc', '3des-cbc'],
    MACs: ['hmac-sha1', 'umac-128-etm@openssh.com'],
    KexAlgorithms: ['sntrup761x25519-sha512@openssh.com', 'ecdh-sha2-nistp256', 'diffie-hellman-group14-sha1'],
  } as const
  const each = (lists: Readonly<Record<string, readonly string[]>>) =>
    Object.entries(lists).flatMap(([option, names]) => names.map((name) => [option, name] as const))
  // A MAC is only agreed on beside a cipher without one of its own.
  const asked = (option: string, name: string) => [
    '-o',
    `${option}=${name}`,
    ...(option === 'MACs' ? ['-c', 'aes128-ctr'] : []),
  ]

  test.each(each(offered))('%s: %s is spoken', async (option, name) => {
    const ran = await place.run([...place.ssh('open', '-v', ...asked(option, name)), 'echo on'])
    expect(ran).toMatchObject({ stdout: 'on\n', stderr: expect.stringContaining(name) as string })
  })

  test.each(each(refused))('%s: %s is not', async (option, name) => {
    const ran = await place.run([...place.ssh('open', ...asked(option, name)), 'true'], { status: 255 })
    expect(ran.stderr).toMatch(/no matching (cipher|MAC|key exchange method) found/)
  })
})
