//! What a figure has to come to, and how that is said. The acceptance of the firmware judges by this too.

/// What a figure has to come to.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// No more than this.
    pub most: u64,
    /// What would be better still.
    pub aim: u64,
    /// It has been reached, and is lost no more: above it is a failure.
    pub held: bool,
}

/// What core and adapter add to an image with a plain echo, in octets of flash.
pub const ADDED_TO_THE_ECHO: Reach = Reach { most: 28 * 1024, aim: 14 * 1024, held: true };

impl Reach {
    /// In a word or two.
    pub const fn verdict(&self, figure: u64) -> &'static str {
        if figure <= self.most { "reached" } else { "NOT reached" }
    }

    /// In a line.
    pub fn line(&self, what: &str, figure: u64) -> String {
        let Reach { most, aim, .. } = self;
        let beyond = if figure <= *aim { ", and so is the aim beyond" } else { "; aim beyond" };
        format!("{what}: {figure}, reach {most}: {}{beyond} {aim}", self.verdict(figure))
    }

    /// Whether it may be so. What was never reached may be above.
    pub const fn allows(&self, figure: u64) -> bool {
        figure <= self.most || !self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_reached_up_to_the_most_and_not_above() {
        let reach = Reach { most: 440, aim: 256, held: true };
        assert_eq!(reach.line("RAM", 256), "RAM: 256, reach 440: reached, and so is the aim beyond 256");
        assert_eq!(reach.line("RAM", 440), "RAM: 440, reach 440: reached; aim beyond 256");
        assert_eq!(reach.line("RAM", 441), "RAM: 441, reach 440: NOT reached; aim beyond 256");
    }

    #[test]
    fn what_was_reached_may_not_be_lost() {
        let reach = Reach { most: 440, aim: 256, held: true };
        assert!(reach.allows(440) && !reach.allows(441));
        assert!(Reach { held: false, ..reach }.allows(441));
    }
}
