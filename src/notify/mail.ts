import { createTransport } from 'nodemailer'
import type { QueuedMessage } from '../access/outbox.ts'
import type { MailSettings } from '../config/notify-settings.ts'
import { composeMail } from './mail-text.ts'
import { oneLine, problemOf, sent, type Outcome } from './outcome.ts'

const connectMsMax = 5000
const silenceMsMax = 10_000

/** Sends over SMTP, each mail on a connection of its own. The server's certificate is always verified. */
export class MailSender {
  readonly #settings: MailSettings
  readonly #host: string

  /** @param host what ids of mails end with. */
  constructor(settings: MailSettings, host: string) {
    this.#settings = settings
    this.#host = host
  }

  /** @param follows whether they were asked about the same request before. */
  async send(queued: QueuedMessage, signal: AbortSignal, follows = false): Promise<Outcome> {
    const transport = createTransport(transportOptions(this.#settings, this.#host))
    try {
      await transport.sendMail({ ...composeMail(queued, this.#settings, this.#host, follows), signal })
      return sent
    } catch (error) {
      return outcomeOf(error)
    } finally {
      transport.close()
    }
  }
}

function transportOptions({ host, port, tls, ca, login }: MailSettings, name: string) {
  return {
    ...{ host, port, name },
    ...{ secure: tls === 'implicit', requireTLS: tls === 'starttls', ignoreTLS: tls === 'none' },
    tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true, ...(ca !== null && { ca }) } as const,
    ...(login !== null && { auth: { user: login.user, pass: login.password.reveal() } }),
    ...{ connectionTimeout: connectMsMax, dnsTimeout: connectMsMax, greetingTimeout: silenceMsMax },
    ...{ socketTimeout: silenceMsMax, disableFileAccess: true, disableUrlAccess: true },
  }
}

/** Only what the server says of this recipient or mail is final; a refused login is the operator's to mend. */
function outcomeOf(error: unknown): Outcome {
  const { code, responseCode, response } = error as { code?: unknown; responseCode?: unknown; response?: unknown }
  const said = typeof response === 'string' ? `the server answered: ${oneLine(response, 200)}` : problemOf(error)
  const final = typeof responseCode === 'number' && responseCode >= 500 && (code === 'EENVELOPE' || code === 'EMESSAGE')
  return { kind: final ? 'refused' : 'failed', problem: said }
}
