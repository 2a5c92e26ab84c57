import type * as z from 'zod'
import type { Campaign } from '../access/campaign.ts'
import type { CampaignCount, CampaignView, EntryView } from '../access/campaigns.ts'
import { displayName, type Person } from '../identity/person.ts'
import { csvText } from '../kernel/csv.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import {
  entryCells,
  entryCsvKeys,
  type campaign,
  type campaignEntry,
  type campaignView,
} from './api-schema-campaigns.ts'

// Campaigns as programs read them: JSON, and a table of what was said.

export function campaignLink(publicUrl: URL, id: string): string {
  return new URL(`reviews/campaigns/${encodeURIComponent(id)}`, publicUrl).href
}

export function campaignJson(
  publicUrl: URL,
  { campaign: one, entries, waiting }: CampaignCount,
): z.output<typeof campaign> {
  return { ...aboutJson(publicUrl, one), entries, waiting }
}

export function campaignViewJson(publicUrl: URL, view: CampaignView): z.output<typeof campaignView> {
  return {
    ...aboutJson(publicUrl, view.campaign),
    startedBy: someone(view.startedBy),
    entries: view.entries.map(entryJson),
  }
}

function aboutJson(publicUrl: URL, { id, name, startedAt, dueAt, finishedAt, reviewers, grantMs, tokenMs }: Campaign) {
  return {
    ...{ id, link: campaignLink(publicUrl, id), name, startedAt: isoTime(startedAt), dueAt: isoTime(dueAt) },
    ...{ finishedAt: timeOrNull(finishedAt), reviewers: [...reviewers], grantMs, tokenMs },
  }
}

function entryJson({ entry, holder, decidedBy, mayDecide }: EntryView): z.output<typeof campaignEntry> {
  const { id, kind, subject, title, details, state, comment } = entry
  return {
    ...{ id, kind, subject, title, details, holder: holder && someone(holder) },
    ...{ expiresAt: timeOrNull(entry.expiresAt), lastUsedAt: timeOrNull(entry.lastUsedAt), state },
    ...{ decidedBy: decidedBy && someone(decidedBy), decidedAt: timeOrNull(entry.decidedAt), comment, mayDecide },
  }
}

/** RFC 4180, with a line of keys. */
export function campaignCsv({ entries }: CampaignView): string {
  return csvText(entryCsvKeys, entries.map(entryJson).map(entryCells))
}

function someone(person: Person): { id: string; displayName: string } {
  return { id: person.id, displayName: displayName(person) }
}

function timeOrNull(at: Instant | null): string | null {
  return at === null ? null : isoTime(at)
}
