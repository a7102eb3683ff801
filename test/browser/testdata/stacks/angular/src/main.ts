import { Component, provideZonelessChangeDetection, signal } from '@angular/core'
import { bootstrapApplication } from '@angular/platform-browser'

@Component({
  selector: 'app-root',
  template: `<h1>home</h1><button id="count" (click)="count.set(count() + 1)">{{ count() }}</button>`,
  styles: `#count { color: rgb(4, 5, 6); }`,
})
class App {
  readonly count = signal(0)
}

void bootstrapApplication(App, { providers: [provideZonelessChangeDetection()] })
