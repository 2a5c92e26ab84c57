import type { Audience, NoticeType } from '../access/outbox.ts'
import type { CampaignEntryFacts, CampaignFacts } from './campaign-facts.ts'
import { line, moment, personLine, type Wording } from './word-parts.ts'

export function campaignWording(
  type: NoticeType,
  campaign: CampaignFacts,
  entry: CampaignEntryFacts | undefined,
  audience: Audience,
): Wording {
  const { name, dueAt, counts, reviewers, link } = campaign
  const holder = entry?.holder ?? null
  const open = type === 'campaign.started' || type === 'campaign.due-soon'
  return {
    headline: entry === undefined ? headlineOf(type, campaign) : entryHeadline(entry, name, audience),
    lines: [
      ...(holder === null ? [] : ([['Who', personLine(holder)]] as const)),
      ...(open ? ([['Due', `${moment(dueAt)}; what nobody has confirmed then, ends`]] as const) : []),
      ...(open ? ([['To decide', `${counts.waiting}, by ${reviewers.join(' or ')}`]] as const) : []),
      ...(type === 'campaign.finished' ? ([['Came of it', cameOfIt(campaign)]] as const) : []),
    ],
    quotes: line('Comment', entry?.comment ?? null),
    link: { text: open ? 'Look at them and decide' : 'Look at it', url: link },
  }
}

function headlineOf(type: NoticeType, { name, counts }: CampaignFacts): string {
  const entries = counts.waiting === 1 ? 'one entry' : `${counts.waiting} entries`
  if (type === 'campaign.started') return `Access review “${name}” began: ${entries} to decide`
  if (type === 'campaign.due-soon') return `Access review “${name}” is due soon: ${entries} to decide`
  return `Access review “${name}” is finished`
}

function entryHeadline(
  { kind, title, bySilence, holder }: CampaignEntryFacts,
  name: string,
  audience: Audience,
): string {
  const whose = audience === 'requester' ? `Your ${title}` : `${title}${holder === null ? '' : ` of ${holder.name}`}`
  const how = bySilence ? 'nobody confirmed it' : 'a reviewer said so'
  // the gateway reads the file; it does not write it
  if (kind === 'policy')
    return `${whose} should end (access review “${name}”): ${how}. Its operator has to change the file`
  return `${whose} ended (access review “${name}”): ${how}`
}

function cameOfIt({ counts: { confirmed, ended, silent, gone } }: CampaignFacts): string {
  return `${confirmed} confirmed, ${ended} ended, ${silent} ended by silence, ${gone} over already`
}
