import { Command, CommanderError } from 'commander'
import { version } from '../kernel/version.ts'
import { addAudit } from './audit.ts'
import { addCampaign } from './campaign.ts'
import { addCompletion } from './completion.ts'
import { addConnect } from './connect.ts'
import { addConfig } from './config.ts'
import { addApprove, addDeny } from './decide.ts'
import { addEnv } from './env.ts'
import { addEvidence } from './evidence.ts'
import { addExtend } from './extend.ts'
import { addEnd, addGrants, addRevoke } from './grant.ts'
import { addLock, addLocks, addUnlock } from './lock.ts'
import { addLogin, addLogout, addWhoami } from './login.ts'
import { addPolicy } from './policy.ts'
import { addNotify } from './notify.ts'
import { explain } from './problem.ts'
import { addReplay } from './replay.ts'
import { addReport } from './report.ts'
import { addReview, addReviews } from './review.ts'
import { addStatement, addStatements } from './statement.ts'
import { addRequest, addRequests } from './request.ts'
import { addSessions } from './sessions.ts'
import { addServe } from './serve.ts'
import { addPsql } from './psql.ts'
import { addSsh } from './ssh.ts'
import { addSshCa } from './ssh-ca.ts'
import { addSshConfig } from './ssh-config.ts'
import { addToken } from './token.ts'
import { addVerify } from './verify.ts'

/**
 * Runs one command.
 * @param words what was typed after `curfew`.
 * @returns the exit code.
 */
export async function runCli(words: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync(words, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    // Commander has said it already; help and version end with 0, mistakes on the command line with 2.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return explain(error)
  }
}

function createProgram(): Command {
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
  for (const add of commands) add(program)
  return program
}

/** In the order of the help. */
const commands: readonly ((program: Command) => void)[] = [
  addServe,
  addConfig,
  addPolicy,
  addLogin,
  addLogout,
  addWhoami,
  addRequest,
  addRequests,
  addApprove,
  addDeny,
  addStatements,
  addStatement,
  addReviews,
  addReview,
  addCampaign,
  addGrants,
  addExtend,
  addEnd,
  addRevoke,
  addSessions,
  addLock,
  addLocks,
  addUnlock,
  addPsql,
  addConnect,
  addEnv,
  addSsh,
  addSshConfig,
  addSshCa,
  addToken,
  addNotify,
  addAudit,
  addReport,
  addEvidence,
  addVerify,
  addReplay,
  addCompletion,
]
