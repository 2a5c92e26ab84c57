import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'
import type { Log } from '../kernel/log.ts'
import { printable } from './printable.ts'

/**
 * One JSON object per line: `level`, `time` (ISO 8601, UTC), the fields, `message`.
 * @param settings.destination where lines go; standard output unless a test listens.
 */
export function createLog(settings: {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly destination?: DestinationStream
}): Log {
  const options = {
    level: settings.level,
    base: null,
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
  }
  // Not synchronous, so that a slow reader of the log does not stop the relays; flushed when the process exits.
  return wrap(pino(options, settings.destination ?? pino.destination({ dest: 1, sync: false })))
}

function wrap(logger: Logger): Log {
  const write = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: object, message: string) => {
    if (logger.isLevelEnabled(level)) logger[level](printable(fields), message)
  }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => wrap(logger.child(printable(fields) as object)),
  }
}
