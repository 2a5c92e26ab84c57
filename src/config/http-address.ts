import type { HttpAddress } from '../resources/catalogue.ts'
import type { Finding } from './problems.ts'

/** What is wrong with an address; the place is the caller's to add. Never quotes what may be a password. */
export type AddressFailure = Pick<Finding, 'message' | 'expected' | 'hint'>

const form = '`https://HOST:PORT`, `http://HOST:PORT` or `unix:/PATH`'

// Linux keeps 108 bytes for a socket's path, one of them for the NUL at its end.
const socketPathBytesMax = 107

/**
 * Reads one address of an application: `https://10.0.0.5:3000`, `http://localhost:8080`, `unix:/run/app.sock`.
 * Narrower than URLs are: what a URL parser would repair (backslashes, missing slashes, tabs) is refused.
 */
export function readHttpAddress(text: string): HttpAddress | AddressFailure {
  if (text.startsWith('unix:')) return socketAddress(text, text.slice('unix:'.length))
  const failure = unwanted(text)
  if (failure !== undefined) return failure
  const parts = /^(https?):\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([1-9]\d{0,4}))?\/?$/i.exec(text)
  if (parts === null || !URL.canParse(text)) return { expected: form, message: 'got something else' }
  const [tls, port] = [parts[1]!.toLowerCase() === 'https', parts[3]]
  return {
    ...{ text, tls, socketPath: null },
    host: new URL(text).hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === undefined ? (tls ? 443 : 80) : Number(port),
  }
}

function socketAddress(text: string, path: string): HttpAddress | AddressFailure {
  const usable = path.startsWith('/') && !path.startsWith('//') && !path.endsWith('/') && !path.includes('\0')
  if (!usable) return { expected: 'the absolute path of a socket, such as unix:/run/app.sock', message: 'got another' }
  const bytes = Buffer.byteLength(path)
  if (bytes > socketPathBytesMax) {
    return { expected: `a socket’s path of at most ${socketPathBytesMax} bytes`, message: `got ${bytes}` }
  }
  return { text, tls: false, host: 'localhost', port: 80, socketPath: path }
}

/** The usual mistakes by name. */
function unwanted(text: string): AddressFailure | undefined {
  const [, scheme, rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text) ?? []
  if (scheme === undefined) return { expected: form, message: 'got something else' }
  if (!/^https?$/i.test(scheme)) return { expected: form, message: `got ${scheme}://` }
  if (/[?#]/.test(rest)) {
    return {
      expected: 'only scheme, host and port',
      message: 'got a query or fragment',
      hint: 'Each request brings its own.',
    }
  }
  if (/^[^/]*@/.test(rest)) {
    const hint = 'A role’s `credentials` say what the gateway shows the target.'
    return { expected: 'only scheme, host and port', message: 'got a user name or password', hint }
  }
  if (/^[^/]+\/./.test(rest)) {
    const hint = 'The target sees the path that people ask for; a role’s `allow` can limit it.'
    return { expected: 'only scheme, host and port', message: 'got a path', hint }
  }
  return undefined
}
