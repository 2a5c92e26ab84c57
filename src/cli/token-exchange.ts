import { readFile } from 'node:fs/promises'
import { text as textOf } from 'node:stream/consumers'
import { Option, type Command } from 'commander'
import type * as z from 'zod'
import { readEnvironment } from '../config/environment.ts'
import { readScopes, writeScopes, type Scope } from '../identity/scopes.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import { me, tokenExchanged, tokenPath } from '../web/api-schema.ts'
import { createGatewayClient } from './gateway-client.ts'
import { gatewayOrigin, readAuthorities, rememberGateway, usualGateway, type KnownGateway } from './known-gateways.ts'
import { asUsage } from './options.ts'
import { forPeople, note, print, printJson } from './print.ts'
import { writePrivateFile } from './private-file.ts'
import { CliProblem } from './problem.ts'
import { writeSession } from './session-file.ts'
import { startSsh } from './ssh/certificate.ts'
import { terminalLine } from './terminal-text.ts'

const variable = 'CURFEW_ISSUER_TOKEN'
/** Of the file; the gateway takes less. */
const tokenCharsMax = 64 * 1024

interface Options {
  readonly issuerTokenFile?: string
  readonly gateway?: string
  readonly ca?: string
  readonly machine?: string
  readonly scope?: readonly Scope[]
  readonly out?: string
  readonly login?: true
  readonly json?: true
}

type Exchanged = z.output<typeof tokenExchanged>

export function addExchange(token: Command): void {
  token
    .command('exchange')
    .summary('as a machine: exchange a token of your issuer for one of the gateway')
    .description(
      `For CI jobs, service accounts and other machines: shows the gateway the token that their issuer gave them, and prints the gateway's own, which lasts some minutes. The token is read from a file, from standard input (-), or from the environment variable ${variable}.`,
    )
    .option('--issuer-token-file <file>', `the issuer's token; - for standard input (default: ${variable})`)
    .addOption(
      new Option('--gateway <url>', 'address of the gateway (default: the one you used before)').argParser(
        asUsage(gatewayOrigin),
      ),
    )
    .option('--ca <file>', 'PEM file with the authorities to trust for it')
    .option('--machine <name>', 'which machine, where the token is good for several')
    .option(
      '--scope <scopes>',
      'what the token may be used for, of what machines may',
      asUsage((text) => readScopes(text.replaceAll(',', ' '))),
    )
    .option('--out <file>', 'write the token to this file, which only you can read, instead of printing it')
    .addOption(
      new Option(
        '--login',
        'keep it for the other commands instead, as `curfew login` does: request, ssh, …',
      ).conflicts('out'),
    )
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `\nExamples:\n  PGPASSWORD=$(curfew token exchange --gateway https://gw.example.com --issuer-token-file /run/job-token) psql "host=gw.example.com user=migrate.token dbname=shop"\n  curfew token exchange --gateway https://gw.example.com --login && curfew request shop migrate --reason "release 12"\n`,
    )
    .action(exchange)
}

async function exchange(options: Options): Promise<void> {
  const subjectToken = await readIssuerToken(options.issuerTokenFile)
  const at = await gatewayFor(options)
  const exchanged = await ask(at, subjectToken, options)
  const expiresAt = isoTime((Date.now() + exchanged.expires_in * 1000) as Instant)
  if (options.login) return keep(at, exchanged, options.json)
  const { out, json } = options
  if (out !== undefined) await writePrivateFile(out, `${exchanged.access_token}\n`)
  if (json)
    return printJson({
      expiresAt,
      scope: exchanged.scope,
      ...(out === undefined ? { text: exchanged.access_token } : { file: out }),
    })
  if (out === undefined) print(terminalLine(exchanged.access_token))
  note(`It lasts until ${forPeople(expiresAt)}, for: ${terminalLine(exchanged.scope)}.`)
}

async function ask(
  { gateway, ca }: KnownGateway,
  subjectToken: string,
  { machine, scope }: Options,
): Promise<Exchanged> {
  await using client = createGatewayClient({ gateway, ca })
  const form = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: subjectToken,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    ...(machine !== undefined && { machine }),
    ...(scope !== undefined && { scope: writeScopes(scope) }),
  }
  return await client.form(tokenPath, tokenExchanged, form)
}

/** What `curfew login` leaves: the session, and where the gateway speaks SSH, a certificate that ends with it. */
async function keep(
  { gateway, ca }: KnownGateway,
  { access_token: token }: Exchanged,
  json: true | undefined,
): Promise<void> {
  await using client = createGatewayClient({ gateway, ca, token })
  const { person, token: made } = (await client.call('GET', '/me', me)).value
  const session = { gateway, ca, token, person: person.displayName, expiresAt: made.expiresAt }
  const file = await writeSession(session)
  await rememberGateway(session)
  if (made.scopes.includes('sessions')) await startSsh(client, session)
  if (json) return printJson({ machine: person.displayName, expiresAt: made.expiresAt, file })
  print(`You are ${terminalLine(person.displayName)} until ${forPeople(made.expiresAt)}.`)
}

async function gatewayFor({ gateway, ca }: Options): Promise<KnownGateway> {
  const at = gateway === undefined ? await usualGateway() : { gateway, ca: null }
  return ca === undefined ? at : { ...at, ca: await readAuthorities(ca) }
}

async function readIssuerToken(file: string | undefined): Promise<string> {
  const text = (await rawIssuerToken(file)).trim()
  if (text.length > 0 && text.length <= tokenCharsMax && /^[\w.-]+$/.test(text)) return text
  throw new CliProblem('that is no token', {
    hint: `Give a file that holds a JWT and nothing else, or set ${variable}.`,
    exitCode: 2,
  })
}

async function rawIssuerToken(file: string | undefined): Promise<string> {
  if (file === '-') return textOf(process.stdin)
  if (file !== undefined) return readFile(file, 'utf8')
  const text = readEnvironment()[variable]
  if (text !== undefined) return text
  throw new CliProblem('which token?', { hint: `Give --issuer-token-file FILE, or set ${variable}.`, exitCode: 2 })
}
