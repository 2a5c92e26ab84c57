import { Command, CommanderError } from 'commander'
import { version } from '../kernel/version.ts'
import { explain } from './problem.ts'

/**
 * Runs one command.
 * @param words what was typed after `curfew`.
 * @returns the exit code.
 */
export async function runCli(words: readonly string[]): Promise<number> {
  try {
    await (await createProgram(words)).parseAsync(words, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    // Commander has said it already; help and version end with 0, mistakes on the command line with 2.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return explain(error)
  }
}

async function createProgram(words: readonly string[]): Promise<Command> {
  const program = new Command('curfew')
    .description('Identity-aware access gateway: the live session ends when the grant ends.')
    .version(version(), '--version', 'print the version')
    .helpOption('--help', 'print this')
    .helpCommand('help [command]', 'print help for a command')
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'curfew: ')) })
    .showHelpAfterError('  Try --help.')
    .enablePositionalOptions() // what follows `curfew ssh RESOURCE` is for ssh
    .exitOverride()
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 the command line or the configuration is wrong.\n')
  for (const add of await loadCommands(words)) add(program)
  return program
}

type AddCommand = (program: Command) => void

/**
 * By name, in the order of the help. Each is loaded when it is needed: all of them together take longer to load than most
 * take to run.
 */
const commands: readonly (readonly [name: string, load: () => Promise<AddCommand>])[] = [
  ['serve', async () => (await import('./serve.ts')).addServe],
  ['config', async () => (await import('./config.ts')).addConfig],
  ['policy', async () => (await import('./policy.ts')).addPolicy],
  ['login', async () => (await import('./login.ts')).addLogin],
  ['logout', async () => (await import('./login.ts')).addLogout],
  ['whoami', async () => (await import('./login.ts')).addWhoami],
  ['request', async () => (await import('./request.ts')).addRequest],
  ['requests', async () => (await import('./request.ts')).addRequests],
  ['cancel', async () => (await import('./decide.ts')).addCancel],
  ['approve', async () => (await import('./decide.ts')).addApprove],
  ['deny', async () => (await import('./decide.ts')).addDeny],
  ['statements', async () => (await import('./statement.ts')).addStatements],
  ['statement', async () => (await import('./statement.ts')).addStatement],
  ['reviews', async () => (await import('./review.ts')).addReviews],
  ['review', async () => (await import('./review.ts')).addReview],
  ['campaign', async () => (await import('./campaign.ts')).addCampaign],
  ['grants', async () => (await import('./grant.ts')).addGrants],
  ['extend', async () => (await import('./extend.ts')).addExtend],
  ['end', async () => (await import('./grant.ts')).addEnd],
  ['revoke', async () => (await import('./grant.ts')).addRevoke],
  ['sessions', async () => (await import('./sessions.ts')).addSessions],
  ['lock', async () => (await import('./lock.ts')).addLock],
  ['locks', async () => (await import('./lock.ts')).addLocks],
  ['unlock', async () => (await import('./lock.ts')).addUnlock],
  ['psql', async () => (await import('./psql.ts')).addPsql],
  ['connect', async () => (await import('./connect.ts')).addConnect],
  ['env', async () => (await import('./env.ts')).addEnv],
  ['ssh', async () => (await import('./ssh.ts')).addSsh],
  ['ssh-config', async () => (await import('./ssh-config.ts')).addSshConfig],
  ['ssh-ca', async () => (await import('./ssh-ca.ts')).addSshCa],
  ['token', async () => (await import('./token.ts')).addToken],
  ['notify', async () => (await import('./notify.ts')).addNotify],
  ['audit', async () => (await import('./audit.ts')).addAudit],
  ['report', async () => (await import('./report.ts')).addReport],
  ['evidence', async () => (await import('./evidence.ts')).addEvidence],
  ['verify', async () => (await import('./verify.ts')).addVerify],
  ['replay', async () => (await import('./replay.ts')).addReplay],
  ['completion', async () => (await import('./completion.ts')).addCompletion],
]

/** The one that is meant, if it is clear; otherwise all, for help, for completion, and for what to say about a mistake. */
function loadCommands([typed]: readonly string[]): Promise<readonly AddCommand[]> {
  const meant = commands.filter(([name]) => name === typed && name !== 'completion')
  return Promise.all((meant.length > 0 ? meant : commands).map(([, load]) => load()))
}
