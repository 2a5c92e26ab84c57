import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import { loadConfig } from '../../src/config/load.ts'
import { startGateway, type Gateway } from '../../src/gateway.ts'
import { identityPaths } from '../../src/identity/paths.ts'
import { openSshKeys, sshPublicLine, type SshKeys } from '../../src/identity/ssh/keys.ts'
import { createLog } from '../../src/observability/log.ts'
import { startBoard, type RunningBoard } from './board.ts'
import { clientId, configurationText, files, type DemoPorts } from './configuration.ts'
import { openDataFolder, type DemoFolder } from './data-folder.ts'
import { startOidcProvider, type OidcProvider } from './oidc-provider.ts'
import { people } from './people.ts'
import { freePort } from '../ports.ts'
import { startPostgres, type RunningPostgres } from './postgres.ts'
import { makeShop } from './shop.ts'
import { findSshd, startSshd, type RunningSshd } from './sshd.ts'
import { makeHome } from './web-server.ts'

export interface DemoOptions {
  /** Absolute. */
  readonly dataFolder: string
  /** Starts over with an empty folder. */
  readonly reset: boolean
  /** Runs one step of the start, and may tell about it. */
  readonly step: <T>(title: string, work: () => Promise<T>) => Promise<T>
  /** Aborts when the demo shall stop while it still starts. */
  readonly stopping?: AbortSignal
}

export interface Demo extends AsyncDisposable {
  readonly folder: DemoFolder
  readonly ports: DemoPorts
  readonly webUrl: URL
  readonly target: RunningPostgres
  /** `web-1` and what clients know the gateway by; undefined on a machine without sshd. */
  readonly ssh: { readonly target: RunningSshd; readonly knownHostsFile: string } | undefined
  /** The web application, and where browsers find it. */
  readonly board: { readonly target: RunningBoard; readonly url: URL }
  readonly provider: OidcProvider
  readonly gateway: Gateway
}

/** Where nobody else listens on them. */
export const usualPorts: DemoPorts = { web: 8443, postgres: 15432, ssh: 2222, ops: 9090, provider: 9000 }

/**
 * Starts everything that the demo needs. Disposing stops it in reverse order.
 * @throws DemoProblem, ConfigProblems; and the reason of `stopping`.
 */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  await using started = new AsyncDisposableStack()
  const step = <T>(title: string, work: () => Promise<T>): Promise<T> => {
    options.stopping?.throwIfAborted()
    return options.step(title, work)
  }
  const folder = started.use(await openDataFolder(options.dataFolder, options))
  const target = await step('PostgreSQL 18 with a small shop in it', async () => {
    const postgres = started.use(await startTarget(folder))
    await makeShop(postgres, folder.passwords)
    return postgres
  })
  const keys = await openSshKeys(join(folder.path, files.gatewayData))
  const webServer = await startWebServer(folder, keys, step)
  if (webServer !== undefined) started.use(webServer)
  const ports = await choosePorts(usualPorts)
  const ssh = webServer && { target: webServer, knownHostsFile: await writeKnownHosts(folder, keys, ports) }
  const webUrl = new URL(`https://localhost:${ports.web}`)
  const provider = await step('Identity provider with four people', async () =>
    started.use(await startProvider(folder, ports, webUrl)),
  )
  const board = await step('A web application, board', async () =>
    started.use(await startBoard({ gateway: webUrl, ca: folder.ca, name: 'board' })),
  )
  const gateway = await step('The gateway', async () => {
    const file = join(folder.path, files.configuration)
    const targets = { postgres: target, board, ssh: webServer }
    await writeFile(file, await configurationText(ports, targets, folder.caFile))
    const config = await loadConfig(file, process.env)
    const destination = pino.destination({ dest: join(folder.path, files.gatewayLog), sync: true, mode: 0o600 })
    started.defer(() => destination.end())
    return started.use(await startGateway(config, { log: createLog({ ...config.log, destination }) }))
  })
  options.stopping?.throwIfAborted()
  const stack = started.move()
  return {
    ...{ folder, ports, webUrl, target, ssh, provider, gateway },
    board: { target: board, url: new URL(`https://board.localhost:${ports.web}/`) },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function startTarget(folder: DemoFolder): Promise<RunningPostgres> {
  const { certificate, key, ca, superuserPassword } = folder
  return startPostgres({ folder: join(folder.path, 'postgres'), tls: { certificate, key, ca }, superuserPassword })
}

/** @returns undefined where there is no sshd. */
async function startWebServer(
  folder: DemoFolder,
  keys: SshKeys,
  step: DemoOptions['step'],
): Promise<RunningSshd | undefined> {
  const program = findSshd()
  if (program === undefined) return undefined
  const home = join(folder.path, 'web-1')
  const userAuthority = sshPublicLine(keys.targetAuthority, 'curfew')
  return step('An SSH server, web-1', async () => {
    await makeHome(home)
    return startSshd({ program, folder: join(folder.path, 'sshd'), home, userAuthority })
  })
}

/** So that ssh need not ask, and the visitor's own file stays as it is. */
async function writeKnownHosts(folder: DemoFolder, { hostKey }: SshKeys, ports: DemoPorts): Promise<string> {
  const file = join(folder.path, files.knownHosts)
  const names = ['localhost', '127.0.0.1', '::1'].map((name) => `[${name}]:${ports.ssh}`)
  // Through a jump the gateway answers by the name of the target.
  await writeFile(file, `${names.join(',')},web-1 ${sshPublicLine(hostKey, '')}\n`)
  return file
}

async function startProvider(folder: DemoFolder, ports: DemoPorts, webUrl: URL): Promise<OidcProvider> {
  const at = (path: string) => new URL(path, webUrl).href
  const keyFolder = join(folder.path, 'secrets')
  return startOidcProvider({
    port: ports.provider,
    people,
    keyFolder,
    backChannelCa: folder.ca,
    clients: [
      {
        clientId,
        clientSecret: folder.clientSecret,
        redirectUris: [at(identityPaths.callback)],
        postLogoutRedirectUris: [at(identityPaths.signedOut)],
        backChannelLogoutUri: at(identityPaths.backChannelLogout),
      },
    ],
  })
}

/** The usual ones, and others where those are taken. */
async function choosePorts(usual: DemoPorts): Promise<DemoPorts> {
  const choose = async (port: number) => ((await isFree(port)) ? port : freePort())
  return {
    web: await choose(usual.web),
    postgres: await choose(usual.postgres),
    ssh: await choose(usual.ssh),
    ops: await choose(usual.ops),
    provider: await choose(usual.provider),
  }
}

/** `localhost` is both addresses, and a client may try either first. */
async function isFree(port: number): Promise<boolean> {
  return (await canListen(port, '127.0.0.1')) && (await canListen(port, '::1'))
}

async function canListen(port: number, address: string): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, address)
    await once(server, 'listening')
    return true
  } catch (error) {
    // Where there is no IPv6, nobody can be in the way there.
    return ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((error as NodeJS.ErrnoException).code ?? '')
  } finally {
    server.close()
  }
}
