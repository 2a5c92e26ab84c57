import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'
import type { Log } from '../kernel/log.ts'
import { LogSink } from './log-sink.ts'
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
  return wrap(pino(options, settings.destination ?? new LogSink(standardOutput, leftOut)))
}

const standardOutput = 1

function leftOut(lines: number): string {
  const time = new Date().toISOString()
  return `${JSON.stringify({ level: 'warn', time, lines, message: 'lines are missing here: they could not be written' })}\n`
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
