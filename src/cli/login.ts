import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { Option } from 'commander'
import type { Command } from 'commander'
import * as z from 'zod'
import { loginDone, loginStarted, loginWaiting, me } from '../web/api-schema.ts'
import { asFault } from '../kernel/fault.ts'
import { isoTime } from '../kernel/time.ts'
import type { Instant } from '../kernel/time.ts'
import { CliProblem } from './problem.ts'
import { createGatewayClient, openGateway, SessionEnded, Unreachable } from './gateway-client.ts'
import type { GatewayClient } from './gateway-client.ts'
import { asUsage } from './options.ts'
import { patiently } from './patience.ts'
import { forPeople, note, print, printJson, styled } from './print.ts'
import { terminalLine } from './terminal-text.ts'
import { gatewayOrigin, readAuthorities, rememberGateway, usualGateway } from './known-gateways.ts'
import type { KnownGateway } from './known-gateways.ts'
import { forgetSession, readKeptSession, seemsOver, writeSession } from './session-file.ts'
import type { CliSession } from './session-file.ts'
import { forgetPostgres, postgresCertificateFor, startPostgres } from './postgres/certificate.ts'
import type { Ready as PostgresReady } from './postgres/certificate.ts'
import { addToAgent } from './ssh/agent.ts'
import { certificateFor, forgetSsh, startSsh } from './ssh/certificate.ts'
import type { Ready } from './ssh/certificate.ts'

type Started = z.output<typeof loginStarted>
type Done = z.output<typeof loginDone>

export function addLogin(program: Command): void {
  program
    .command('login')
    .summary('sign in to a gateway')
    .description(
      'Prints a link and a code, waits until you confirm them in a browser, and keeps the session. Where the gateway speaks SSH or PostgreSQL, it also makes keys on this machine and gets certificates for them.',
    )
    .addOption(
      new Option('--gateway <url>', 'address of the gateway (default: the one you used before)').argParser(
        asUsage(gatewayOrigin),
      ),
    )
    .option('--ca <file>', 'PEM file with the authorities to trust for it')
    .option('--no-ssh', 'without an SSH certificate')
    .option('--no-postgres', 'without a client certificate for PostgreSQL')
    .option('--add-to-agent', 'add the SSH certificate to your agent, for as long as it holds')
    .addOption(
      new Option('--renew', 'only get new certificates, if those you have are near their end').conflicts('gateway'),
    )
    .option('--json', 'print one line of JSON with the link, and one when you are in')
    .addHelpText(
      'after',
      '\nExample:\n  curfew login --gateway https://gw.example.com\n\nThe session is kept in $XDG_CONFIG_HOME/curfew/session.json (~/.config), the keys in ssh/ and postgres/ beside it.\nOnly you can read them.\n\nJobs need no login: CURFEW_TOKEN holds a token, CURFEW_GATEWAY the address, CURFEW_CA the file of --ca.\n',
    )
    .action(async (options: Options) => {
      return options.renew ? renew(options) : login(options, await gatewayFor(options))
    })
}

interface Options {
  readonly gateway?: string
  readonly ca?: string
  readonly ssh: boolean
  readonly postgres: boolean
  readonly addToAgent?: true
  readonly renew?: true
  readonly json?: true
}

/** A gateway that is named is trusted as is said with it; the usual one as it was before. */
async function gatewayFor({ gateway, ca: caFile }: Options): Promise<KnownGateway> {
  const usual = gateway === undefined ? await usualGateway() : { gateway, ca: null }
  return caFile === undefined ? usual : { ...usual, ca: await readAuthorities(caFile) }
}

async function login(options: Options, { gateway, ca }: KnownGateway): Promise<void> {
  await using client = createGatewayClient({ gateway, ca })
  const started = (await client.call('POST', '/login', loginStarted, { application: thisProgram() })).value
  tell(started, options.json)
  const { token, person, expiresAt } = await answered(client, started)
  const session = { gateway, ca, token, person: person.displayName, expiresAt }
  const file = await writeSession(session)
  await rememberGateway(session)
  if (!options.json) print(`You are ${terminalLine(person.displayName)} until ${forPeople(expiresAt)}.`)
  const ssh = options.ssh ? await sshAfter(session, options) : null
  const postgres = await postgresAfter(session, options)
  if (options.json) printJson({ person, expiresAt, file, ssh, postgres })
}

/** The session is there by now: whatever fails here is said, and mended by `curfew login --renew`. */
async function sshAfter(session: CliSession, options: Options): Promise<CertificateTold | null> {
  await using client = createGatewayClient(session)
  const ready = await startSsh(client, session)
  return ready === undefined ? null : await use(ready, options)
}

async function renew(options: Options): Promise<void> {
  const { session, client } = await openGateway()
  await using _ = client
  const ssh = options.ssh ? await ifSpoken(async () => use(await certificateFor(client, session), options)) : null
  const postgres = options.postgres
    ? await ifSpoken(async () => tellPostgres(await postgresCertificateFor(client, session), options))
    : null
  if (options.json) printJson({ ssh, postgres })
}

/** Null where the gateway has no such listener. */
async function ifSpoken<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    if (asFault(error)?.code === 'NOT_FOUND') return null
    throw error
  }
}

/** What an earlier sign-in left behind would only be refused. */
async function postgresAfter(session: CliSession, options: Options): Promise<CertificateTold | null> {
  await forgetPostgres(session)
  if (!options.postgres) return null
  await using client = createGatewayClient(session)
  const ready = await startPostgres(client, session)
  return ready === undefined ? null : tellPostgres(ready, options)
}

function tellPostgres({ files, endsAtMs }: PostgresReady, { json }: Options): CertificateTold {
  const expiresAt = isoTime(endsAtMs as Instant)
  if (!json) print(`PostgreSQL certificate until ${forPeople(expiresAt)}.`)
  return { key: files.key, certificate: files.certificate, expiresAt }
}

interface CertificateTold {
  readonly key: string
  readonly certificate: string
  readonly expiresAt: string
}

async function use(ready: Ready, { addToAgent: isAdded, json }: Options): Promise<CertificateTold> {
  const expiresAt = isoTime(ready.endsAtMs as Instant)
  if (isAdded) await addToAgent(ready)
  if (!json) print(`SSH certificate until ${forPeople(expiresAt)}${isAdded ? ', also in your agent' : ''}.`)
  return { key: ready.files.key, certificate: ready.files.certificate, expiresAt }
}

/** How the confirmation page names us; at most 64 characters. */
export function thisProgram(): string {
  return `curfew CLI on ${hostname()}`.slice(0, 64)
}

function tell({ link, code, expiresAt }: Started, json: true | undefined): void {
  if (json) return printJson({ link, code, expiresAt })
  note(
    `Open this link, compare the code, and confirm:\n\n  ${styled('bold', terminalLine(link))}\n  code  ${terminalLine(code)}\n`,
  )
  note(`Waiting until ${forPeople(expiresAt)} (Ctrl-C to give up) …`)
}

/** @throws Fault SIGN_IN_REFUSED, SIGN_IN_TIMED_OUT */
async function answered(client: GatewayClient, { id, secret, intervalMs }: Started): Promise<Done> {
  for (;;) {
    await delay(intervalMs)
    const poll = () => client.call('POST', '/login/poll', z.union([loginDone, loginWaiting]), { id, secret })
    const { value } = await patiently(poll)
    if ('token' in value) return value
  }
}

export function addLogout(program: Command): void {
  program
    .command('logout')
    .summary('end the session that login made')
    .description('Ends the session at the gateway and forgets it here, with keys and certificates.')
    .option('--json', 'print one line of JSON')
    .action(async ({ json }: { json?: true }) => {
      const session = await readKeptSession()
      try {
        const ended = await endSession(session)
        if (json) printJson({ gateway: session.gateway, ended })
        else
          print(
            ended
              ? `Signed out of ${session.gateway}.`
              : `Your session at ${session.gateway} was over; it is forgotten here, too.`,
          )
      } finally {
        await forgetSession()
        await forgetSsh(session)
        await forgetPostgres(session)
      }
    })
}

/** @returns false when it was over there already. @throws CliProblem when the gateway cannot be told. */
async function endSession(session: CliSession): Promise<boolean> {
  await using client = createGatewayClient(session)
  try {
    await client.call('POST', '/logout', z.undefined())
    return true
  } catch (error) {
    if (error instanceof SessionEnded) return false
    // By all that is known here it is over.
    if (error instanceof Unreachable && seemsOver(session)) return false
    if (!(error instanceof CliProblem) && asFault(error) === undefined) throw error
    const { gateway, expiresAt } = session
    const message = `your session is forgotten here, but stands at ${gateway} until ${forPeople(expiresAt)}: ${(error as Error).message}`
    throw new CliProblem(message, { cause: error, hint: `End it there: ${gateway}/sign-ins` })
  }
}

export function addWhoami(program: Command): void {
  program
    .command('whoami')
    .summary('say who you are to the gateway')
    .option('--json', 'print one line of JSON')
    .action(async ({ json }: { json?: true }) => {
      const { session, client } = await openGateway()
      await using _ = client
      const { value } = await client.call('GET', '/me', me)
      if (json) return printJson({ ...value, url: session.gateway })
      const duties = [value.reviewer && 'reviewer', value.operator && 'operator'].filter(Boolean).join(', ')
      print(terminalLine(value.person.displayName))
      print(`gateway  ${session.gateway} (${terminalLine(value.gateway)})`)
      print(`groups   ${value.person.groups.map(terminalLine).join(', ') || 'none'}`)
      if (duties !== '') print(`duties   ${duties}`)
      print(`session  until ${forPeople(value.token.expiresAt)}`)
    })
}
