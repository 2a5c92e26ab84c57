/** `npm run fuzz -- codecs|postgres [options]`: see docs/security.md. */
import { Command } from 'commander'
import { fuzzCodecs, type CodecOptions } from './codecs.ts'
import { fuzzPostgres, type PostgresOptions } from './postgres.ts'

const program = new Command('fuzz').description(
  'Throws what nobody should send at what reads it, for as long as you like.',
)
const say = (line: string) => void process.stdout.write(`${line}\n`)

program
  .command('codecs')
  .description('bytes at everything of PostgreSQL that reads some, guided by what they reach')
  .option('--minutes <n>', 'how long', Number, 10)
  .option('--seed <n>', 'which random numbers', Number, 1)
  .option('--load <part>', 'part of the time that it works; it sleeps for the rest', Number, 1)
  .option('--only <name>', 'one of them: transcript, sieve, startup, options, mask, statement, values, report, proxy')
  .option('--input <base64>', 'only this input, as a finding names it')
  .action((options: CodecOptions) => finish(fuzzCodecs(options, say)))

program
  .command('postgres')
  .description(
    'hostile clients and a hostile target at a whole gateway, with a session beside them that must not notice',
  )
  .option('--minutes <n>', 'how long', Number, 10)
  .option('--seed <n>', 'which random numbers', Number, 1)
  .option('--case <n>', 'only this case', Number)
  .option('--load <part>', 'part of the time that it works; it sleeps for the rest', Number, 1)
  .option('--crowd <n>', 'connections that say nothing, all at once', Number, 3000)
  .action((options: PostgresOptions) => finish(fuzzPostgres(options, say)))

await program.parseAsync()

async function finish(run: Promise<number>): Promise<void> {
  if ((await run) > 0) process.exitCode = 1
}
