import { constants } from 'node:os'
import type { Command } from 'commander'
import { readEnvironment } from '../config/environment.ts'
import { checkConfig } from '../config/load.ts'
import { ConfigProblems, formatProblem, type ConfigProblem } from '../config/problems.ts'
import type { Gateway } from '../gateway.ts'
import type { Log } from '../kernel/log.ts'

/** A terminal and npm may both pass on one Ctrl-C; what comes so soon is the same wish. */
const sameWishMs = 500

export function addServe(program: Command): void {
  program
    .command('serve')
    .summary('run the gateway')
    .description(
      'Runs the gateway until SIGTERM or SIGINT, then drains it; a second signal ends it at once. SIGHUP reads the file again: changed resources, policies, freezes, bundles and certificates hold at once, also for live sessions; what needs a restart, and what is wrong, the log says.',
    )
    .requiredOption('--config <file>', 'configuration file (YAML)')
    .addHelpText('after', '\nExample:\n  curfew serve --config /etc/curfew/curfew.yaml\n')
    .action(async ({ config: file }: { config: string }) => {
      const { config, notices } = await checkConfig(file, readEnvironment())
      // Only here, so that the other commands start without the whole gateway.
      const { startGateway } = await import('../gateway.ts')
      // Before the start: a signal that comes while it starts is not lost.
      using signals = listenForSignals()
      await using gateway = await startGateway(config)
      tellNotices(gateway.log, notices)
      let reading = Promise.resolve()
      signals.onHangUp(() => void (reading = reading.then(() => readAgain(file, gateway))))
      await signals.first
      signals.onHangUp(() => undefined)
      gateway.log.info({ drainMs: config.gateway.drainMs }, 'stopping')
    })
}

function tellNotices(log: Log, notices: readonly ConfigProblem[]): void {
  for (const { file, path, message, line, hint } of notices) log.warn({ file, line, path, hint }, message)
}

/** What SIGHUP asks of daemons. Whatever the file holds, the gateway goes on. */
async function readAgain(file: string, { log, reload }: Pick<Gateway, 'log' | 'reload'>): Promise<void> {
  try {
    const { config, notices } = await checkConfig(file, readEnvironment())
    tellNotices(log, notices)
    const reloaded = await reload(config)
    if (reloaded.kind === 'taken') return
    const { places } = reloaded
    log.error({ file, places }, 'nothing of the changed file was taken over: these places need a restart')
  } catch (error) {
    if (!(error instanceof ConfigProblems)) {
      return log.error({ file, error }, 'nothing of the changed file was taken over')
    }
    const problems = error.problems.map(formatProblem)
    log.error({ file, problems }, 'the configuration file has problems; this gateway goes on with what it has read')
  }
}

interface Signals extends Disposable {
  readonly first: Promise<void>
  /** Told of each SIGHUP from now on. */
  onHangUp(act: () => void): void
}

function listenForSignals(): Signals {
  const first = Promise.withResolvers<void>()
  let firstAtMs: number | undefined
  let hangUp = (): void => undefined
  const onSignal = (signal: NodeJS.Signals) => {
    firstAtMs ??= performance.now()
    first.resolve()
    if (performance.now() - firstAtMs > sameWishMs) process.exit(128 + constants.signals[signal])
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  // Started from a terminal, it means that the terminal is gone. Nobody else may end sessions by it unasked.
  if (process.stdin.isTTY) process.on('SIGHUP', onSignal)
  else process.on('SIGHUP', () => hangUp())
  return {
    first: first.promise,
    onHangUp: (act) => void (hangUp = act),
    // The handlers stay: a second signal must end a drain that hangs.
    [Symbol.dispose]: () => first.resolve(),
  }
}
