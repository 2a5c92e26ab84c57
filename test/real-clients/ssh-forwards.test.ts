// Goal: connections through a connection: -L, -R, -D, -W, -J, sockets with a path, and the agent.
// Method: the real ssh with the whole gateway and a real sshd behind it; socat and ncat at the ends.
import { once } from 'node:events'
import { createServer, connect, type AddressInfo, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/ports.ts'
import { sha256Of } from '../clients/file-hash.ts'
import { startAgent } from '../clients/agent.ts'
import type { Program } from '../clients/program.ts'
import { openSshPlace, type SshPlace } from '../clients/ssh-place.ts'

const isRoot = process.getuid?.() === 0
const stack = new AsyncDisposableStack()
let place: SshPlace

beforeAll(async () => {
  if (isRoot) place = stack.use(await openSshPlace(['open', 'certified']))
}, 60_000)
afterAll(() => stack.disposeAsync())

/** A server that speaks first, and then gives back what it gets. @param path its own, in place of a port. */
async function startEcho(path?: string) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined).write('hello\n')
    socket.pipe(socket)
  })
  server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path })
  await once(server, 'listening')
  return { server, port: portOf(server), [Symbol.dispose]: () => void server.close() }
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'string' ? 0 : (address as AddressInfo).port
}

/** Runs ssh with `-N` and these options until whoever holds it is done. */
function hold(role: string, ...options: readonly string[]): Program {
  return place.start(place.ssh(role, '-v', '-N', '-o', 'ExitOnForwardFailure=yes', ...options))
}

/** Sends a megabyte there and back, after the greeting. */
async function expectEcho(address: string): Promise<void> {
  const sent = await place.file('echoed', 1_000_000)
  const [got, plain] = [place.here('echoed.got'), place.here('echoed.plain')]
  await place.run(['socat', '-t10', '-', address], { input: sent.path, output: got })
  await place.run(['tail', '-c', '+7', got], { output: plain })
  expect(await sha256Of(plain)).toBe(sent.sha256)
}

/** As soon as the other end is there. */
async function untilOpen(port: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const socket = connect(port, '127.0.0.1')
        const [open] = await Promise.race([
          once(socket, 'connect').then(() => [true]),
          once(socket, 'error').then(() => [false]),
        ])
        socket.destroy()
        return open
      },
      { timeout: 10_000 },
    )
    .toBe(true)
}

describe.runIf(isRoot)('from the client (needs root, as sshd does)', () => {
  test('-L', async () => {
    using peer = await startEcho()
    const entrance = await freePort()
    await using _ = hold('open', '-L', `127.0.0.1:${entrance}:127.0.0.1:${peer.port}`)
    await untilOpen(entrance)
    await expectEcho(`TCP:127.0.0.1:${entrance}`)
  })

  test('-L to where nobody listens: the connection is closed, the session goes on', async () => {
    const [entrance, nobody] = [await freePort(), await freePort()]
    await using ssh = hold('certified', '-L', `127.0.0.1:${entrance}:127.0.0.1:${nobody}`)
    await untilOpen(entrance)
    await ssh.until(/open failed: connect failed: Connection refused/)
    using peer = await startEcho()
    expect(peer.port).toBeGreaterThan(0)
    expect(ssh.isRunning).toBe(true)
  })

  test('-L from a path to a path', async () => {
    const [entrance, path] = [place.here('in.sock'), place.there('out.sock')]
    using _peer = await startEcho(path)
    await using ssh = hold('certified', '-L', `${entrance}:${path}`)
    await ssh.until(/Entering interactive session/)
    await expectEcho(`UNIX:${entrance}`)
  })

  test('-D', async () => {
    using peer = await startEcho()
    const entrance = await freePort()
    await using _ = hold('open', '-D', `127.0.0.1:${entrance}`)
    await untilOpen(entrance)
    const words = ['ncat', '--proxy-type', 'socks5', '--proxy', `127.0.0.1:${entrance}`, '127.0.0.1', String(peer.port)]
    await using ncat = place.start(words)
    await ncat.until(/hello/)
    ncat.send('and back')
    await ncat.until(/and back/)
  })

  test('-W', async () => {
    using peer = await startEcho()
    await using ssh = place.start(place.ssh('certified', '-W', `127.0.0.1:${peer.port}`))
    await ssh.until(/hello/)
    ssh.send('and back')
    await ssh.until(/and back/)
    ssh.endInput()
    expect((await ssh.exited()).status).toBe(0)
  })
})

describe.runIf(isRoot)('from the target (needs root, as sshd does)', () => {
  test('-R', async () => {
    using peer = await startEcho()
    const entrance = await freePort()
    await using _ = hold('certified', '-R', `127.0.0.1:${entrance}:127.0.0.1:${peer.port}`)
    await untilOpen(entrance)
    await expectEcho(`TCP:127.0.0.1:${entrance}`)
  })

  test('-R with a port that the target chooses, and back to nothing', async () => {
    using peer = await startEcho()
    const control = place.here('control-R')
    await using ssh = hold('open', '-M', '-S', control, '-R', `127.0.0.1:0:127.0.0.1:${peer.port}`)
    const [, entrance] = await ssh.until(/Allocated port (\d+) for remote forward/)
    await untilOpen(Number(entrance))
    await expectEcho(`TCP:127.0.0.1:${entrance}`)
    await place.run(place.ssh('open', '-S', control, '-O', 'cancel', '-R', `127.0.0.1:0:127.0.0.1:${peer.port}`))
    // The call of `-O cancel` does not wait for the target.
    const knock = () => place.run(['socat', '-u', `TCP:127.0.0.1:${entrance}`, '-'], { status: null })
    await expect.poll(async () => (await knock()).status).toBe(1)
  })

  test('-R to a path', async () => {
    using peer = await startEcho()
    const entrance = place.there('listen.sock')
    await using ssh = hold('open', '-R', `${entrance}:127.0.0.1:${peer.port}`)
    await ssh.until(/remote forward success|Entering interactive session/)
    await expect.poll(() => place.run(['test', '-S', entrance], { status: null }).then(({ status }) => status)).toBe(0)
    await expectEcho(`UNIX:${entrance}`)
  })

  test('-R on a port that is taken is refused, and said', async () => {
    using peer = await startEcho()
    await using ssh = hold('certified', '-R', `127.0.0.1:${peer.port}:127.0.0.1:9`)
    const { status, stderr } = await ssh.exited()
    expect([status, stderr]).toEqual([255, expect.stringContaining('remote port forwarding failed')])
  })

  test('the agent: keys are listed and sign', async () => {
    await using agent = await startAgent(place.here('agent.sock'), place.gateway.sshd.userKeyFile)
    const { env } = agent
    const { stdout: known } = await place.run(['ssh-keygen', '-lf', `${place.gateway.sshd.userKeyFile}.pub`])
    const listed = await place.run([...place.ssh('open', '-A'), 'ssh-add -l'], { env })
    expect(listed.stdout.split(' ')[1]).toBe(known.split(' ')[1])
    // From the target on to the next machine (itself): only the agent has the key.
    const { host, port, user } = place.gateway.sshd
    const options =
      '-F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR'
    const further = `ssh ${options} -p ${port} ${user}@${host} 'echo further'`
    expect((await place.run([...place.ssh('certified', '-A'), further], { env })).stdout).toBe('further\n')
    await place.run([...place.ssh('certified', '-a'), 'ssh-add -l'], { env, status: 2 })
  })
})

describe.runIf(isRoot)('jumps (need root, as sshd does)', () => {
  test('the gateway as the host to jump through', async () => {
    const words = [
      'ssh',
      '-F',
      place.configFile,
      '-i',
      await place.gateway.key('alice'),
      '-J',
      'gw',
      'certified@web-1',
      'echo by-the-gateway',
    ]
    expect((await place.run(words)).stdout).toBe('by-the-gateway\n')
  })

  test('a resource as the host to jump through, to a machine that only it reaches', async () => {
    const { host, port, user, userKeyFile } = place.gateway.sshd
    for (const role of ['open', 'certified']) {
      const words = [
        'ssh',
        '-F',
        place.configFile,
        '-i',
        userKeyFile,
        '-J',
        `${role}@web-1@gw`,
        '-p',
        String(port),
        `${user}@${host}`,
      ]
      expect((await place.run([...words, 'echo inner'])).stdout).toBe('inner\n')
    }
  })

  test('both: through the gateway to a resource, and on from there', async () => {
    const { host, port, user, userKeyFile } = place.gateway.sshd
    const shared = ['-F', place.configFile, '-i', userKeyFile, '-i', await place.gateway.key('alice')]
    const words = ['ssh', ...shared, '-J', 'gw,open@web-1', '-p', String(port), `${user}@${host}`, 'echo twice']
    // The second jump takes its key from the settings alone.
    expect((await place.run(words, { env: {} })).stdout).toBe('twice\n')
  })
})
