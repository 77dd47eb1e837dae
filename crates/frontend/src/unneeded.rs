//! Stages that the target does not need. They are not built and what they stand on is not looked up; what
//! is wrong with their names, and with how they depend on each other, is told all the same, as docker's
//! builder tells it. Refuses to look at the rest of them.

use kiln_parser::{Diagnostic, Span};

use crate::{origin::taken_from, stage::Survey};

/// That a stage takes files from another.
struct Edge<'w> {
    from: usize,
    to: usize,
    name: &'w str,
    span: Span,
}

impl<'a> Survey<'a> {
    /// What is wrong with stages that nobody needs.
    pub(crate) fn wrong_in_unneeded(&self) -> Vec<Diagnostic> {
        let mut wrong = Vec::new();
        // Of those that are needed, what depends on the order of the file was looked at.
        let mut onward = Vec::new();
        for index in (0..self.seen.len()).filter(|index| !self.seen[*index]) {
            let from = &self.file.stages[index].from.instruction;
            wrong.extend(self.platform(&self.file.stages[index]).err());
            if self.replaced(index) {
                continue;
            }
            wrong.extend(self.base_name(&from.image).err());
            for node in self.body(index) {
                for word in taken_from(&node.instruction) {
                    let (name, span) = (word.raw(), word.span());
                    match self.meant_stage(name) {
                        Some(to) if to < index => {}
                        Some(to) => onward.push(Edge {
                            from: index,
                            to,
                            name,
                            span,
                        }),
                        None => wrong.extend(self.copied_from(index, name, span).err()),
                    }
                }
            }
        }
        if !onward.is_empty() {
            wrong.extend(self.circular(&onward));
        }
        wrong
    }

    /// The stage that a `from` means, if it is one of the file.
    fn meant_stage(&self, name: &str) -> Option<usize> {
        match name.parse::<usize>() {
            Ok(number) => Some(number).filter(|number| *number < self.seen.len()),
            Err(_) => self.named(name),
        }
    }

    /// Edges by which a stage would depend on itself: no other than those that lead onward in the file
    /// can close a circle.
    fn circular(&self, onward: &[Edge<'_>]) -> Vec<Diagnostic> {
        let mut within = vec![true; self.seen.len()];
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.seen.len()];
        let mut open = vec![0; self.seen.len()];
        for (index, open) in open.iter_mut().enumerate() {
            for to in self.dependencies(index) {
                before[to].push(index);
                *open += 1;
            }
        }
        let mut done: Vec<usize> = (0..open.len()).filter(|i| open[*i] == 0).collect();
        while let Some(index) = done.pop() {
            within[index] = false;
            for dependent in &before[index] {
                open[*dependent] -= 1;
                if open[*dependent] == 0 {
                    done.push(*dependent);
                }
            }
        }
        let closing = onward
            .iter()
            .filter(|edge| within[edge.from] && within[edge.to]);
        let wrong = closing.filter_map(|e| self.copied_from(e.from, e.name, e.span).err());
        wrong.collect()
    }

    /// The stages that it takes files from. What it stands on comes before it, and does not count here.
    fn dependencies(&self, index: usize) -> Vec<usize> {
        if self.replaced(index) {
            return Vec::new();
        }
        let words = self.body(index).iter();
        let words = words.flat_map(|node| taken_from(&node.instruction));
        let stages = words.filter_map(|word| self.meant_stage(word.raw()));
        stages.collect()
    }
}
