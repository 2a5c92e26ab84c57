import { expect, test } from 'vitest'
import { isSecretHeader, reservedHeader } from '../../src/resources/header-names.ts'

test.each([
  ...['Connection', 'Keep-Alive', 'Proxy-Connection', 'TE', 'Trailer', 'Transfer-Encoding', 'Upgrade'],
  ...['Proxy-Authorization', 'Proxy', 'Expect', 'Content-Length', 'Host', 'Cookie', 'Set-Cookie', 'Cookie2'],
  ...['Forwarded', 'Via', 'X-Real-IP', 'X-Forwarded-For', 'X_Forwarded_Host', 'x-forwarded-anything'],
  ...['Curfew-Assertion', 'curfew_token', 'Sec-WebSocket-Key'],
])('%s carries neither claims nor credentials', (name) => {
  expect(reservedHeader(name)).toMatch(/\w/)
})

test.each(['X-WEBAUTH-USER', 'Remote-User', 'X-Forwarded-User', 'X_Forwarded_Email', 'Authorization', 'X-Api-Key'])(
  '%s may',
  (name) => {
    expect(reservedHeader(name)).toBeUndefined()
  },
)

test.each([
  ...['Cookie', 'Set-Cookie', 'Authorization', 'Proxy-Authorization', 'Curfew-Token', 'Curfew-Assertion'],
  ...['X-Api-Key', 'apikey', 'PRIVATE-TOKEN', 'X_Csrf_Token', 'X-Vault-Token', 'X-Client-Secret', 'WWW-Authenticate'],
])('%s is a secret', (name) => {
  expect(isSecretHeader(name)).toBe(true)
})

test.each(['X-Request-Id', 'User-Agent', 'Content-Type', 'ETag', 'Keyboard', 'X-Passage'])('%s is none', (name) => {
  expect(isSecretHeader(name)).toBe(false)
})
