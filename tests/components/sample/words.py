"""No component: `component` is something else here."""

component = "a word"
