/** What the gateway has recorded of sessions at applications, read back from its files. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordedEvent } from '../../src/recording/format.ts'
import type { HttpBytes, HttpBytesCode, HttpCode, HttpEvents } from '../../src/recording/http-events.ts'
import { openRecording } from '../../src/recording/reading.ts'
import type { SessionRow } from '../../src/sessions/session.ts'
import type { TestGateway } from '../servers/gateway.ts'

export interface RecordedHttp {
  readonly session: SessionRow
  readonly file: string
  /** All that is in it, as one text: what is not to be found here was not recorded. */
  readonly everything: string
  /** What one code carries, each time it comes. */
  readonly all: <Code extends HttpCode>(code: Code) => readonly HttpEvents[Code][]
  /** One exchange, by the beginning of its URL: the last of them. @throws Error when there is none. */
  readonly exchange: (url: string) => {
    readonly request: HttpEvents['q']
    readonly answer: HttpEvents['a'] | undefined
  }
  /** Of a body. */
  readonly bytes: (n: number, direction: HttpBytes[HttpBytesCode]['direction']) => Buffer
}

/** Of the newest session in this role, once it is over and sealed. */
export async function recordedHttp({ gateway, config }: TestGateway, role: string): Promise<RecordedHttp> {
  for (;;) {
    const sessions = await gateway.state.sessions.sessions({ limit: 20 })
    const session = sessions.find((one) => one.session.role === role)
    if (session !== undefined && session.end !== null && session.recording !== null) {
      return read(session, join(config.gateway.dataFolder, 'recordings', session.recording))
    }
    await sleep(20)
  }
}

async function read(session: SessionRow, file: string): Promise<RecordedHttp> {
  await using recording = await openRecording(file)
  const events: readonly RecordedEvent[] = await Array.fromAsync(recording.events())
  const all = <Code extends HttpCode>(code: Code) =>
    events.filter((event) => event.code === code).map(({ data }) => data as HttpEvents[Code])
  const texts = events.map(({ code, data, bytes }) => `${code} ${JSON.stringify(data)} ${bytes?.toString('latin1')}`)
  return {
    ...{ session, file, all },
    everything: [JSON.stringify(recording.header), ...texts].join('\n'),
    exchange: (url) => {
      const request = all('q').findLast((one) => one.url.startsWith(url))
      if (request === undefined)
        throw new Error(
          `no ${url} in ${all('q')
            .map((one) => one.url)
            .join(' ')}`,
        )
      return { request, answer: all('a').find(({ n }) => n === request.n) }
    },
    bytes: (n, direction) => {
      const isMeant = ({ code, data }: RecordedEvent) =>
        code === '=b' && (data as HttpBytes['=b']).n === n && (data as HttpBytes['=b']).direction === direction
      return Buffer.concat(events.filter(isMeant).map(({ bytes }) => bytes!))
    },
  }
}
