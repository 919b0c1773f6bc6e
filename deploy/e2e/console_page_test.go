package e2e_test

import (
	"iter"
	"regexp"
	"slices"
	"strings"
)

// kindOfPage makes one page stand for those that differ only in the bot, the key or a number.
var kindOfPage = regexp.MustCompile(`^/console/(keys/CCK)[^/?]+|(=)[^&]*`)

// crawl yields the address of each page of the console that links lead to, by the kind of page,
// while the tab shows it. It begins at the page that the tab shows.
func (b *tab) crawl() iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := make(map[string]bool)
		waiting := []string{b.path()}
		for len(waiting) > 0 {
			path := waiting[0]
			waiting = waiting[1:]
			b.open(strings.TrimPrefix(path, "/console/"))
			links := eval[[]string](b, `Array.from(document.querySelectorAll("a[href]"), a => a.pathname + a.search)`)
			if !yield(path) {
				return
			}
			for _, link := range links {
				kind := kindOfPage.ReplaceAllString(link, "$1$2")
				if strings.HasPrefix(link, "/console/") && !strings.Contains(link, "lang=") && !seen[kind] {
					seen[kind] = true
					waiting = append(waiting, link)
				}
			}
			slices.Sort(waiting)
		}
	}
}
