/** Requests of HTTP/1.1 that no client would send. */
import { once } from 'node:events'
import { connect } from 'node:tls'
import type { TestGateway } from '../servers/gateway.ts'

/**
 * One request, byte for byte, on a connection of its own.
 * @param head without the empty line at its end; lines end in `\n` here.
 * @returns the answer as it came, in Latin-1.
 */
export async function rawAnswer(
  { url, ca }: Pick<TestGateway, 'url' | 'ca'>,
  head: string,
  servername = 'app.localhost',
): Promise<string> {
  const place = { host: '127.0.0.1', port: Number(url.port), ca, servername }
  // The names that are asked for here are not all in its certificate.
  const socket = connect({ ...place, checkServerIdentity: () => undefined })
  socket.on('error', () => undefined) // the end tells
  await once(socket, 'secureConnect')
  socket.write(`${head.replaceAll('\n', '\r\n')}Connection: close\r\n\r\n`, 'latin1')
  let text = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('latin1')
  return text
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
}

export function headerOf(answer: string, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)\\r$`, 'mi').exec(answer)?.[1]
}
