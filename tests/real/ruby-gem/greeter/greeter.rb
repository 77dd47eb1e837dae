# frozen_string_literal: true

module Greeter
  def self.greet(name) = "¡Hola, #{name}! (#{name.length})"
end
