import { Fault } from '../kernel/fault.ts'
import { readBody } from './forms.ts'
import type { Site } from './site.ts'

/** Where Slack posts what was pressed: to be set as the app's "Request URL". */
export const slackActionsPath = '/slack/actions'

/** Buttons in messages. Everything about a post is checked by its signature: it carries no cookie. */
export function slackActionRoutes(site: Site): void {
  site.open('POST', slackActionsPath, async (c) => {
    const buttons = site.deps.notifications?.buttons ?? null
    if (buttons === null) throw new Fault('NOT_FOUND', 'There is no such page.')
    const body = await readBody(c)
    const header = (name: string) => c.req.header(name) ?? ''
    const timestamp = header('x-slack-request-timestamp')
    switch (buttons.take({ body, timestamp, signature: header('x-slack-signature') })) {
      case 'taken':
        return c.body(null, 200)
      case 'refused':
        return c.text('not from Slack, or not from now\n', 401)
      case 'busy':
        return c.text('too much at once\n', 503)
    }
  })
}
