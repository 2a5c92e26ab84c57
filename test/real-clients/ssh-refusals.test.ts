// Goal: what a role does not allow does not happen, the person reads why in the client they use, and the recording has it.
// Method: the real ssh, sftp and scp with roles that lack it, the whole gateway, a real sshd.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAgent, type Agent } from '../clients/agent.ts'
import { atTerminal } from '../protocols/ssh/at-terminal.ts'
import { endedSession, eventsOf } from '../clients/ssh-recorded.ts'
import { openSshPlace, type Ran, type SshPlace } from '../clients/ssh-place.ts'

const isRoot = process.getuid?.() === 0
const stack = new AsyncDisposableStack()
let place: SshPlace
let agent: Agent

beforeAll(async () => {
  if (!isRoot) return
  place = stack.use(await openSshPlace(['files', 'commands', 'forwards']))
  agent = stack.use(await startAgent(place.here('agent')))
}, 60_000)
afterAll(() => stack.disposeAsync())

interface Refusal {
  readonly what: string
  readonly role: 'files' | 'commands' | 'forwards'
  readonly run: (role: string) => Promise<Ran>
  readonly status: number
  /** What the person reads. */
  readonly says: RegExp
  /** What the recording says that it was. */
  readonly recorded: string
}

const run = (words: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  place.run(words, { status: null, env })

/** In a terminal, where what was refused before is said, too. */
async function inTerminal(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  await using program = atTerminal(words, env)
  return await program.exited()
}

/** OpenSSH before 9.4 takes no path for -W. */
async function forwardedPath(role: string): Promise<Ran> {
  const entrance = place.here('entrance.sock')
  await using ssh = place.start(place.ssh(role, '-v', '-N', '-L', `${entrance}:/run/any.sock`))
  await ssh.until(/Entering interactive session/)
  await run(['socat', '-u', `UNIX:${entrance}`, '-'])
  await ssh.until(/open failed/)
  ssh.kill('SIGINT')
  return await ssh.exited()
}

const refusals: readonly Refusal[] = [
  {
    what: 'a shell',
    role: 'files',
    run: (role) => run(place.ssh(role)),
    status: 255,
    says: /curfew: the role files does not allow a shell; it allows: SFTP/,
    recorded: 'shell',
  },
  {
    what: 'a shell in a terminal',
    role: 'commands',
    run: (role) => inTerminal(place.ssh(role)),
    status: 255,
    says: /curfew: the role commands does not allow a shell; it allows: commands/,
    recorded: 'shell',
  },
  {
    what: 'a command',
    role: 'files',
    run: (role) => run([...place.ssh(role), 'id']),
    status: 255,
    says: /curfew: the role files does not allow commands; it allows: SFTP/,
    recorded: 'exec',
  },
  {
    what: 'scp in its old protocol',
    role: 'files',
    run: (role) => run(['scp', '-O', '-F', place.configFile, place.configFile, `${role}@web-1@gw:/tmp/never`]),
    status: 1,
    says: /curfew: the role files does not allow commands/,
    recorded: 'exec',
  },
  {
    what: 'sftp',
    role: 'commands',
    run: (role) => run(['sftp', '-F', place.configFile, '-b', '/dev/null', `${role}@web-1@gw`]),
    status: 255,
    says: /curfew: the role commands does not allow SFTP; it allows: commands/,
    recorded: 'subsystem',
  },
  {
    what: '-L',
    role: 'files',
    run: (role) => run(place.ssh(role, '-W', `127.0.0.1:${place.gateway.sshd.port}`)),
    status: 255,
    says: /open failed: administratively prohibited: curfew: the role files does not allow forwarding to the target/,
    recorded: 'channel direct-tcpip',
  },
  {
    what: '-L to a path',
    role: 'commands',
    run: forwardedPath,
    status: 255,
    says: /administratively prohibited: curfew: the role commands does not allow forwarding to the target/,
    recorded: 'channel direct-streamlocal@openssh.com',
  },
  {
    what: '-R',
    role: 'commands',
    run: (role) => inTerminal([...place.ssh(role, '-t', '-R', '127.0.0.1:0:127.0.0.1:9'), 'true']),
    status: 0,
    says: /curfew: the role commands does not allow forwarding from the target \(-R\)[^]*remote port forwarding failed|remote port forwarding failed[^]*curfew: the role commands does not allow forwarding from the target \(-R\)/,
    recorded: 'tcpip-forward',
  },
  {
    what: 'the agent',
    role: 'commands',
    run: (role) => inTerminal([...place.ssh(role, '-t', '-A'), 'echo "agent ${SSH_AUTH_SOCK:-none}"'], agent.env),
    status: 0,
    says: /curfew: the role commands does not allow agent forwarding[^]*agent none/,
    recorded: 'auth-agent-req@openssh.com',
  },
  {
    what: 'X11',
    role: 'commands',
    run: (role) => inTerminal([...place.ssh(role, '-t', '-Y'), 'echo "display ${DISPLAY:-none}"'], { DISPLAY: ':99' }),
    status: 0,
    says: /curfew: X11 is not passed on by this gateway[^]*display none/,
    recorded: 'x11-req',
  },
]

test.runIf(isRoot).each(refusals)('$what is refused to the role $role (needs root, as sshd does)', async (refusal) => {
  const { status, stdout, stderr } = await refusal.run(refusal.role)
  expect(`${stdout}${stderr}`).toMatch(refusal.says)
  expect(status).toBe(refusal.status)
  const session = await endedSession(place.gateway)
  expect(session.session.role).toBe(refusal.role)
  const refused = (await eventsOf(session.file)).filter(([code]) => code === 'no')
  expect(refused).toContainEqual(['no', { what: refusal.recorded, why: expect.stringMatching(/\w/) as string }])
})

test.runIf(isRoot)('what the same role does allow still works beside it (needs root, as sshd does)', async () => {
  const ran = await run([...place.ssh('commands', '-R', '127.0.0.1:0:127.0.0.1:9', '-A'), 'echo works'], agent.env)
  expect(ran).toMatchObject({ status: 0, stdout: 'works\n' })
})
