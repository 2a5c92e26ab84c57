import type { NoticeType } from '../access/outbox.ts'
import type { Secret } from '../kernel/secret.ts'

/** Where people of a group, or about some resources, are told together. */
export interface TellPlaces {
  readonly mail: readonly string[]
  /** A channel's name (`#name`) or id; null: none. */
  readonly slack: string | null
}

/** All fields that are not null must match. */
export interface TellRoute extends TellPlaces {
  readonly policies: readonly string[] | null
  readonly resources: readonly string[] | null
  readonly labels: Readonly<Record<string, string>>
}

export interface MailSettings {
  readonly host: string
  readonly port: number
  readonly tls: 'starttls' | 'implicit' | 'none'
  /** PEM; null means the system's authorities. */
  readonly ca: string | null
  readonly login: { readonly user: string; readonly password: Secret } | null
  readonly from: string
  readonly replyTo: string | null
  /** Whether those who may decide get mail of their own. */
  readonly deciders: boolean
}

export interface SlackSettings {
  readonly token: Secret
  readonly apiUrl: URL
  /** For requests that no group or route has a channel for; null: none. */
  readonly channel: string | null
  readonly directMessages: boolean
  /** Null: messages have none. */
  readonly buttons: SlackButtonSettings | null
}

export interface SlackButtonSettings {
  /** With which the app's posts to us are signed. */
  readonly signingSecret: Secret
  /** The workspace, `T…`: presses from another one are not believed. */
  readonly team: string
}

export interface WebhookSettings {
  readonly name: string
  readonly url: URL
  /** Each `whsec_` and base64; everything is signed with each of them. */
  readonly secrets: readonly Secret[]
  /** PEM; null means the system's authorities. */
  readonly ca: string | null
  readonly events: readonly NoticeType[]
}

export interface NotifySettings {
  readonly giveUpMs: number
  readonly endingMs: number
  readonly knownMs: number
  readonly includeReason: boolean
  readonly requester: { readonly events: readonly NoticeType[] }
  readonly security: TellPlaces & { readonly events: readonly NoticeType[] }
  readonly groups: Readonly<Record<string, TellPlaces>>
  readonly routes: readonly TellRoute[]
  readonly mail: MailSettings | null
  readonly slack: SlackSettings | null
  readonly webhooks: readonly WebhookSettings[]
}
