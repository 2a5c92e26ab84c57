import type { Command } from 'commander'
import { readEnvironment } from '../config/environment.ts'
import { checkConfig } from '../config/load.ts'

/** A terminal and npm may both pass on one Ctrl-C; what comes so soon is the same wish. */
const sameWishMs = 500

export function addServe(program: Command): void {
  program
    .command('serve')
    .summary('run the gateway')
    .description('Runs the gateway until SIGTERM or SIGINT, then drains it; a second signal ends it at once.')
    .requiredOption('--config <file>', 'configuration file (YAML)')
    .addHelpText('after', '\nExample:\n  curfew serve --config /etc/curfew/curfew.yaml\n')
    .action(async ({ config: file }: { config: string }) => {
      const { config, notices } = await checkConfig(file, readEnvironment())
      // Only here, so that the other commands start without the whole gateway.
      const { startGateway } = await import('../gateway.ts')
      // Before the start: a signal that comes while it starts is not lost.
      using signals = listenForSignals()
      await using gateway = await startGateway(config)
      for (const { path, message, line, hint } of notices) gateway.log.warn({ file, line, path, hint }, message)
      await signals.first
      gateway.log.info({ drainMs: config.gateway.drainMs }, 'stopping')
    })
}

function listenForSignals(): Disposable & { readonly first: Promise<void> } {
  const first = Promise.withResolvers<void>()
  let firstAtMs: number | undefined
  const onSignal = (signal: NodeJS.Signals) => {
    firstAtMs ??= performance.now()
    first.resolve()
    if (performance.now() - firstAtMs > sameWishMs) process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  return {
    first: first.promise,
    // The handlers stay: a second signal must end a drain that hangs.
    [Symbol.dispose]: () => first.resolve(),
  }
}
