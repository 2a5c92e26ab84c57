import type { HttpToldItem } from '../recording/http-order.ts'
import type { HttpBody, HttpExchange, HttpMessages } from '../recording/http-timeline.ts'
import { sizeInWords } from './recording-words.ts'
import { terminalJson, terminalLine } from './terminal-text.ts'
import { duration, type Paint, timedLines } from './timeline-text.ts'

/** As `timelineText`, of an HTTP session: `GET 200  12.3 ms  1.2 KiB  https://grafana.gw.example.com/d/home`. */
export function httpTimelineText(item: HttpToldItem, paint: Paint): string {
  return timedLines(item.at, linesOf(item, paint), paint)
}

/** One JSON object; what bodies hold is in base64. */
export function httpJson(item: HttpToldItem): string {
  if (item.kind !== 'exchange') return terminalJson(item)
  const { bodyUp, bodyDown } = item.exchange
  return terminalJson({
    ...item,
    exchange: { ...item.exchange, bodyUp: inBase64(bodyUp), bodyDown: inBase64(bodyDown) },
  })
}

function inBase64(body: HttpBody | null) {
  if (body === null) return null
  const { content, ...facts } = body
  return { ...facts, base64: content?.toString('base64') ?? null }
}

function linesOf(item: HttpToldItem, paint: Paint): readonly string[] {
  switch (item.kind) {
    case 'exchange':
      return exchangeLines(item.exchange, paint)
    case 'gate':
      return [paint('yellow', `Curfew: ${terminalLine(item.text)}`)]
    case 'unknown':
      return [paint('dim', `(a line ${terminalLine(item.code)} that this version cannot read)`)]
  }
}

function exchangeLines(exchange: HttpExchange, paint: Paint): string[] {
  const { request, status, totalMs, bytesUp, bytesDown, messages } = exchange
  const columns = [
    terminalLine(request?.method ?? '?').padEnd(7),
    paint(toneOf(exchange), status === null ? '---' : String(status)),
    (totalMs === null ? '' : duration(totalMs)).padStart(10),
    (bytesDown === null ? '' : sizeInWords(bytesDown)).padStart(11),
    request === null
      ? '(a request from before this part)'
      : paint('bold', terminalLine(`${request.origin}${request.url}`)),
  ]
  return [
    columns.join('  '),
    ...(bytesUp === null || bytesUp === 0 ? [] : [paint('dim', `-> ${sizeInWords(bytesUp)} sent`)]),
    ...(messages === null ? [] : [paint('dim', `-> ${messageWords(exchange.protocol, messages)}`)]),
    ...endLines(exchange, paint),
  ]
}

function toneOf({ status, result }: HttpExchange): 'green' | 'yellow' | 'red' {
  if (status === null || result === null) return result === null ? 'yellow' : 'red'
  return status >= 400 || result === 'refused' ? 'red' : 'green'
}

function messageWords(protocol: string | null, { up, down }: HttpMessages): string {
  const one = (way: string, { count, bytes }: HttpMessages['up']) => `${count} ${way} (${sizeInWords(bytes)})`
  return terminalLine(`${protocol ?? 'upgraded'}: messages ${one('up', up)}, ${one('down', down)}`)
}

const endWords = {
  client: 'ended by the client',
  target: 'ended by the target',
  gate: 'ended by the gateway',
  refused: 'refused by the gateway',
} as const

function endLines({ result, code, why }: HttpExchange, paint: Paint): string[] {
  if (result === 'ok') return []
  if (result === null) return [paint('yellow', '-> still going on')]
  const reason = [code, why].filter((part) => part !== null).join(': ')
  return [
    paint(result === 'client' ? 'yellow' : 'red', terminalLine(`-> ${endWords[result]}${reason && `: ${reason}`}`)),
  ]
}
