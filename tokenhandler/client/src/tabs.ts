import type { Ended } from './types'

/** What a tab tells the others. They do not believe it but ask the service. */
export interface News {
  /** Whose session the tab knows. Without it the news is that the session has been prolonged. */
  identity?: string
  ended?: Ended | undefined
}

export interface Tabs {
  open(): void
  close(): void
  tell(news: News): void
}

/** Connects the tabs of this browser in which the app is open. */
export function createTabs(name: string, listener: (news: News) => void): Tabs {
  let channel: BroadcastChannel | undefined
  let heard: string | undefined
  const tabs: Tabs = {
    open() {
      if (channel) return
      channel = new BroadcastChannel(name)
      channel.onmessage = ({ data }: MessageEvent<News>) => {
        heard = data.identity ?? heard
        listener(data)
      }
    },
    // An open channel can keep the page out of the back/forward cache, so it is closed while the page is there.
    close() {
      channel?.close()
      channel = undefined
    },
    // What another tab said last is not said again: ten tabs that hear of a logout do not tell each other.
    tell(news) {
      if (news.identity && news.identity === heard) return
      heard = news.identity ?? heard
      channel?.postMessage(news)
    },
  }
  tabs.open()
  return tabs
}
