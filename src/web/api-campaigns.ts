import type { CampaignId, EntryId } from '../kernel/ids.ts'
import { body, bodyIfAny, caller, checked, idempotencyKey } from './api-call.ts'
import { csvAnswer } from './api-reports.ts'
import * as schema from './api-schema.ts'
import { campaignCsv, campaignJson, campaignViewJson } from './campaign-json.ts'
import type { WebContext } from './context.ts'
import type { Site } from './site.ts'

const { apiPath } = schema

/** Reviews of standing access, for programs and the CLI. */
export function campaignRoutes(site: Site): void {
  const { publicUrl, access } = site.deps
  const { campaigns } = access
  site.open('GET', `${apiPath}/campaigns`, async (c) => {
    const { person } = await caller(site, c, 'reports:read')
    const list = await campaigns.list(person)
    return c.json({ campaigns: list.map((one) => campaignJson(publicUrl, one)) })
  })
  site.open('POST', `${apiPath}/campaigns`, async (c) => {
    const { person } = await caller(site, c, 'decide')
    const view = await campaigns.start(person, { ...(await body(c, schema.campaignWish)), key: idempotencyKey(c) })
    return c.json(campaignViewJson(publicUrl, view), 201)
  })
  site.open('GET', `${apiPath}/campaigns/:id`, async (c) => {
    const { person } = await caller(site, c, 'reports:read')
    const { format } = checked(schema.campaignQuery, c.req.query())
    const view = await campaigns.view(person, idOf<CampaignId>(c))
    return format === 'csv' ? csvAnswer(c, campaignCsv(view)) : c.json(campaignViewJson(publicUrl, view))
  })
  site.open('POST', `${apiPath}/campaigns/:id/entries/:entry/confirm`, async (c) => {
    const { person } = await caller(site, c, 'decide')
    const { comment } = await body(c, schema.entryConfirming)
    const view = await campaigns.decide(person, idOf<EntryId>(c, 'entry'), 'confirm', comment)
    return c.json(campaignViewJson(publicUrl, view))
  })
  site.open('POST', `${apiPath}/campaigns/:id/entries/:entry/end`, async (c) => {
    const { person } = await caller(site, c, 'decide')
    const { comment } = await bodyIfAny(c, schema.comment)
    const view = await campaigns.decide(person, idOf<EntryId>(c, 'entry'), 'end', comment)
    return c.json(campaignViewJson(publicUrl, view))
  })
}

function idOf<Id extends string>(c: WebContext, name = 'id'): Id {
  return (c.req.param(name) ?? '') as Id
}
