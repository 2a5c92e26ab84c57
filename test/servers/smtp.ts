/** A real SMTP server that keeps what it gets: STARTTLS and a login are asked for. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { simpleParser, type ParsedMail } from 'mailparser'
import { SMTPServer } from 'smtp-server'
import { issue, makeAuthority } from '../../scripts/certificates.ts'

export interface ReceivedMail {
  readonly to: readonly string[]
  readonly source: string
  readonly mail: ParsedMail
  readonly encrypted: boolean
}

export interface SmtpSink extends AsyncDisposable {
  readonly port: number
  readonly ca: string
  readonly user: string
  readonly password: string
  readonly mails: readonly ReceivedMail[]
  /** Answers instead of taking a recipient: `550 no such user`. */
  refuse: ((recipient: string) => { code: number; text: string } | undefined) | undefined
  /** The first mail to this address whose subject matches. */
  untilMail(to: string, subject?: RegExp): Promise<ReceivedMail>
}

export async function startSmtp(
  options: { readonly port?: number; readonly names?: readonly [string, ...string[]] } = {},
): Promise<SmtpSink> {
  const authority = await makeAuthority('Test mail authority')
  const server = await issue(authority, { names: options.names ?? ['localhost', '127.0.0.1'] })
  const mails: ReceivedMail[] = []
  const login = { user: 'curfew', password: 'a-mail-password-for-tests' }
  const smtp = new SMTPServer({
    ...{ key: server.key, cert: server.certificate, authMethods: ['PLAIN', 'LOGIN'], logger: false },
    onAuth(auth, _session, done) {
      const known = auth.username === login.user && auth.password === login.password
      done(known ? null : new Error('who is that?'), known ? { user: login.user } : undefined)
    },
    onRcptTo({ address }, _session, done) {
      const refusal = sink.refuse?.(address)
      if (refusal === undefined) return done()
      done(Object.assign(new Error(refusal.text), { responseCode: refusal.code }))
    },
    onData(stream, session, done) {
      void (async () => {
        const chunks: Buffer[] = []
        for await (const chunk of stream) chunks.push(chunk as Buffer)
        const source = Buffer.concat(chunks)
        const to = session.envelope.rcptTo.map(({ address }) => address)
        mails.push({ to, source: source.toString(), mail: await simpleParser(source), encrypted: session.secure })
        done()
      })()
    },
  })
  smtp.on('error', () => undefined) // clients that hang up are part of the tests
  smtp.listen(options.port ?? 0, '127.0.0.1')
  await once(smtp.server, 'listening')
  const sink: SmtpSink = {
    ...login,
    ...{ port: (smtp.server.address() as AddressInfo).port, ca: authority.certificate, mails, refuse: undefined },
    async untilMail(to, subject = /(?:)/) {
      for (;;) {
        const found = mails.find((one) => one.to.includes(to) && subject.test(one.mail.subject ?? ''))
        if (found !== undefined) return found
        await sleep(10)
      }
    },
    [Symbol.asyncDispose]: () => new Promise((resolve) => smtp.close(resolve)),
  }
  return sink
}
